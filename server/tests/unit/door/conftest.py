from collections.abc import Iterator

import pytest

from support.stock_router import StockRouter


@pytest.fixture(scope="session")
def stock() -> Iterator[StockRouter]:
    with StockRouter() as router:
        yield router
