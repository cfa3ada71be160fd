-- The live files under the names that the warehouse has, so that its queries about one customer run on them
-- (customer_list.sql: their own list, else that of their segment, else everyone's).
create schema if not exists shop;

create schema if not exists recsys;

create or replace view shop.users as
select user_id, is_personalised, json_object('segment', segment) as attributes
from read_parquet($customers);

-- What was withdrawn is in the customers' file already.
create or replace view recsys.withdrawn_consents as
select user_id
from read_parquet($customers)
where false;

create or replace view shop.items as
select item_id, title, category
from read_parquet($items);

create or replace view recsys.live_recommendations as
select placement, user_id, rank, item_id, score, source, reason, publication_id, model_version, as_of, propensity
from main.live_recommendations;
