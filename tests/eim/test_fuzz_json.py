"""Any JSON gets an answer in either binding's terms, never an exception, and never what it did not earn."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.eim.bindings import Bindings
from fixtures.pki import Pki
from fixtures.service import Observer

from .parties import EID, ICCID, Lab
from .test_fuzz import FUZZ, message, open_lab, tree

FUNCTIONS = ["initiateAuthentication", "authenticateClient", "getBoundProfilePackage", "cancelSession"]
FUNCTIONS += ["getEimPackage", "provideEimPackageResult", "handleNotification", "transferEimPackage"]
KEYS = ["eidValue", "eimPackageResult", "pendingNotification", "provideEimPackageResult", "transactionId"]
KEYS += ["euiccChallenge", "euiccInfo1", "smdpAddress", "eimTransactionId", "stateChangeCause", "notifyStateChange"]
KEYS += ["authenticateServerResponse", "prepareDownloadResponse", "cancelSessionResponse", "rPlmn", "header"]

coded = st.one_of(tree, message).map(lambda data: base64.b64encode(data).decode())
value = st.one_of(coded, st.text(max_size=40), st.integers(), st.booleans(), st.none(), st.just(EID), st.just([{}]))
body = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), value, max_size=5).map(lambda found: json.dumps(found).encode()),
    st.binary(max_size=60),
)


@pytest.mark.parametrize("order", ["enable", "download"])
def test_any_json(order: str, pki: Pki, tmp_path: Path) -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    context = open_lab(pki, tmp_path)
    try:
        lab: Lab = loop.run_until_complete(context.__aenter__())
        bindings = Bindings(lab.esipa, Observer(None))

        async def posted(function: str, data: bytes) -> None:
            parameters: dict[str, Any] = {"iccid": ICCID}
            if order == "download":
                parameters = {"activation_code": "1$127.0.0.1:1$M"}
            if lab.context.store.head(EID) is None:
                lab.order(order, **parameters)
            reply = await bindings.answer(f"/gsma/rsp2/esipa/{function}", "application/json", data, lab.peer)
            assert reply.status in (200, 204, 400, 404, 429)  # 429: the same bytes over and over
            if reply.status == 200:
                answer = json.loads(reply.body)
                assert answer["header"]["functionExecutionStatus"]["status"] in ("Executed-Success", "Failed")
            head = lab.context.store.head(EID)
            assert head is None or not head.verified

        @FUZZ
        @given(st.sampled_from(FUNCTIONS), body)
        def test(function: str, data: bytes) -> None:
            loop.run_until_complete(posted(function, data))

        test()
        assert not any(found.verified for found in lab.context.store.orders(EID))
        loop.run_until_complete(context.__aexit__(None, None, None))
    finally:
        loop.close()
