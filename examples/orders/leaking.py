"""A small web service that tells what a customer has ordered. It leaks: docs/tutorial.md finds out where."""

from collections.abc import Sequence

from fastapi import FastAPI, HTTPException
from sqlalchemy import create_engine, text

engine = create_engine("sqlite:///orders.db", pool_size=5, max_overflow=3, pool_timeout=2, pool_logging_name="orders")
with engine.begin() as start:
    start.execute(text("CREATE TABLE IF NOT EXISTS orders (customer TEXT, item TEXT)"))
    start.execute(text("INSERT INTO orders VALUES ('ann', 'tea')"))

app = FastAPI()
ITEMS = text("SELECT DISTINCT item FROM orders WHERE customer = :customer")
failures: dict[str, LookupError] = {}


def items_of(customer: str) -> Sequence[str]:
    connection = engine.connect()
    items = connection.execute(ITEMS, {"customer": customer}).scalars().all()
    if not items:
        raise LookupError(f"{customer} has ordered nothing")
    connection.close()
    return items


@app.get("/orders/{customer}")
def orders(customer: str) -> Sequence[str]:
    try:
        return items_of(customer)
    except LookupError as error:
        failures[customer] = error
        raise HTTPException(404, str(error)) from None


@app.get("/failures")
def failed() -> dict[str, str]:
    return {customer: str(error) for customer, error in failures.items()}
