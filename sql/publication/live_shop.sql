-- The live files under the names that the warehouse has, so that its queries about one customer run on them.
create schema shop;

create schema recsys;

create view shop.users as
select user_id, is_personalised, json_object('segment', segment) as attributes
from read_parquet($customers);

create view shop.items as
select item_id, title, category
from read_parquet($items);

create view recsys.live_recommendations as
select placement, user_id, rank, item_id, score, source, reason, publication_id, model_version, as_of
from main.live_recommendations;
