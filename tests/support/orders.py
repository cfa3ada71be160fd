"""Made order files of the shape that the source ``orders`` reads; generated from a seed, no real shop's data."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
COUNTRIES = ("United Kingdom", "France", "Germany", "EIRE")
GOODS = ("RED", "BLUE", "SMALL", "LARGE", "RETRO", "GLASS", "TIN", "PAPER")
THINGS = ("LANTERN", "MUG", "BUNTING", "CLOCK", "BAG", "FRAME", "BOWL", "CANDLE")


def write_orders(path: Path, *, lines: int = 3000, customers: int = 80, codes: int = 150, seed: int = 3) -> None:
    """Write a made CSV of about a year of orders.

    One invoice in ten is a return (its number begins with C), one in five a guest's, one line in forty is
    postage; one code in seven is described in two ways, and a few lines are there twice.
    """
    rng = np.random.default_rng(seed)
    start = datetime(2010, 12, 1, 8, 26)
    rows: list[str] = []
    invoice = 536365
    while len(rows) < lines:
        invoice += 1
        at = start + timedelta(minutes=int(500_000 * len(rows) / lines))
        customer = "" if invoice % 5 == 0 else str(12346 + int(rng.integers(customers)))
        country = COUNTRIES[int(rng.integers(len(COUNTRIES)))]
        back = invoice % 10 == 0
        for code in rng.choice(codes, size=int(rng.integers(1, 13)), replace=False):
            rows.append(_line(rng, f"{'C' if back else ''}{invoice}", int(code), at, customer, country, back))
        if rng.random() < 0.1:
            rows.append(rows[-1])
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")


def _line(
    rng: np.random.Generator, invoice: str, code: int, at: datetime, customer: str, country: str, back: bool
) -> str:
    quantity = int(rng.integers(1, 25)) * (-1 if back else 1)
    if code % 40 == 39:
        return f"{invoice},POST,POSTAGE,{quantity},{at:%Y-%m-%d %H:%M:%S},18.0,{customer},{country}"
    title = f"{GOODS[code % 8]} {THINGS[code // 8 % 8]} {code}"
    if code % 7 == 0 and rng.random() < 0.3:
        title = f'"{title}, DISPLAY BOX"'
    price = 0.5 + code % 30 / 4
    return f"{invoice},{20000 + code}A,{title},{quantity},{at:%Y-%m-%d %H:%M:%S},{price},{customer},{country}"
