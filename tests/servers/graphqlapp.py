"""The program of the GraphQL server: ``python -I graphqlapp.py PORT``. It stands alone, like ``faketds.py``."""

import asyncio
import sys
from collections.abc import AsyncGenerator

import strawberry
import uvicorn
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    def hello(self) -> str:
        """Answer at once."""
        return "world"

    @strawberry.field
    async def slow(self, seconds: float) -> str:
        """Answer after some time."""
        await asyncio.sleep(seconds)
        return "late"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def ticks(self, count: int) -> AsyncGenerator[int, None]:
        """Count, ten times a second."""
        for number in range(count):
            yield number
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    batches = StrawberryConfig(batching_config={"max_operations": 20})
    schema = strawberry.Schema(query=Query, subscription=Subscription, config=batches)
    app = GraphQL(schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
