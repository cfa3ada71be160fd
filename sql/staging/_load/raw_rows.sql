select {columns}
from {table}
where {conditions}
