select
    s.file_path,
    e.line
from reject_errors as e
inner join reject_scans as s on s.scan_id = e.scan_id and s.file_id = e.file_id
where e.error_type = 'UNQUOTED VALUE' and contains(trim(e.csv_line), chr(10))
order by s.file_path, e.line
limit 1
