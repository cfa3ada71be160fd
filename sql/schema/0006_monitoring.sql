-- What monitoring measured, append-only.

create table recsys.measurements (
    measurement_id text primary key,
    measured_at timestamp not null,
    run_id text not null,
    name text not null,
    placement text,
    part text,
    value double precision,
    threshold double precision,
    status text not null check (status in ('ok', 'warn', 'breach')),
    message text not null,
    details text not null
);

comment on table recsys.measurements is 'one row per monitoring (measured_at, run_id), name, placement and part, which its id names, so that attempts that overlap add it once; append-only. Placement is null for what concerns the whole shop; part is an event type, a column, a feature or a publication; value is null where nothing could be measured, threshold where nothing is judged. The message says what to do; details is JSON.';
