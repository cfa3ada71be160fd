insert into recsys_rejected
select distinct
    {table},
    cast(json_object('file', parse_filename(s.file_path), 'line', e.line, 'text', e.csv_line) as varchar),
    'the line is not CSV: ' || lower(cast(e.error_type as varchar))
from reject_errors as e
inner join reject_scans as s on s.scan_id = e.scan_id and s.file_id = e.file_id
