select {key}
from shop.{table}
group by {key}
having count(*) > 1
order by {key}
limit 3
