-- What PostgreSQL has and DuckDB lacks, for the SELECTs of the sources; gone with the connection.

create or replace temp macro initcap(words) as array_to_string(
    list_transform(
        regexp_extract_all(lower(words), '[[:alnum:]]+|[^[:alnum:]]+'),
        lambda word: upper(word[1]) || word[2:]
    ),
    ''
);
