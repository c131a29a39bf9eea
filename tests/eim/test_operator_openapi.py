"""The OpenAPI document: valid by a foreign validator, and what the server really takes and answers is what it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from fixtures.eim import openapi, parameters
from fixtures.eim.calls import CALLS
from fixtures.pki import Pki
from fixtures.service import HttpRefusal

from .operator_side import HOME_TOKEN, Side, side
from .parties import EID, ICCID
from .test_fuzz import FUZZ
from .test_operator import made_of
from .test_roles import BODIES, VARIANTS, names, prepared

DOCUMENT = openapi.document("http://127.0.0.1:1")


def validator(schema: dict[str, Any]) -> OAS31Validator:
    """A validator for a schema with references into the document."""
    return OAS31Validator({**schema, "components": DOCUMENT["components"]})


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()  # raises
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_the_document_has_every_call_and_role() -> None:
    found = {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert found.keys() == {(call.method, call.path) for call in CALLS}
    for call in CALLS:
        operation = found[call.method, call.path]
        assert operation["x-role"] == call.role.word and call.role.word in operation["description"]
    assert len({operation["operationId"] for operation in found.values()}) == len(CALLS)
    assert DOCUMENT["security"] == [{"token": []}]


@pytest.mark.parametrize(
    ("method", "path", "schema", "given_"),
    [
        ("get", "/orders", "state", ""),
        ("get", "/orders", "state", "finished"),
        ("get", "/audit", "order", ""),
        ("get", "/export", "eid", ""),
        ("post", "/orders/batch", None, {"orders": []}),
        ("post", "/tokens", None, {"name": "", "role": "view"}),
        ("post", "/misbehaviour", None, {"name": ""}),
        ("put", "/misbehaviour", None, {"misbehaviours": [], "more": 42}),
        ("put", "/routes/a", None, {"target": ""}),
        ("post", "/orders", None, {"eid": EID, "kind": "enable", "iccid": "8900101000000000019", "retry_after": 1e16}),
    ],
)
def test_what_is_refused_is_refused_by_the_document_too(
    method: str, path: str, schema: str | None, given_: Any, pki: Pki, tmp_path: Path
) -> None:
    """A client that is made of the document, such as schemathesis, sends nothing that it cannot know to be wrong."""

    async def use() -> None:
        async with side(pki, tmp_path, known="0560") as made:
            target, body = (path, given_) if schema is None else (f"{path}?{schema}={given_}", None)
            status, answer = await made.call(method.upper(), target, body)
            assert status == 400, answer

    asyncio.run(use())
    operation = DOCUMENT["paths"]["/routes/{name}" if path.startswith("/routes") else path][method]
    if schema is None:
        found = operation["requestBody"]["content"]["application/json"]["schema"]
    else:
        found = next(one["schema"] for one in operation["parameters"] if one["name"] == schema)
    assert not validator(found).is_valid(given_)


@pytest.mark.parametrize("variant", VARIANTS, ids=names)
def test_answers_are_what_the_document_says(variant: Any, pki: Pki, tmp_path: Path) -> None:
    call = variant[0]

    async def use() -> None:
        async with side(pki, tmp_path, known="0560", approval=frozenset({"delete"})) as made:
            await filled(made)
            path, body = await prepared(made, call), BODIES.get(names(variant))
            operation = DOCUMENT["paths"][call.path][call.method.lower()]
            if body is not None:
                (content,) = operation["requestBody"]["content"].values()
                assert not list(validator(content["schema"]).iter_errors(body))
            status, answer = await made.call(call.method, path, body, token=made.tokens["second"])
            (kind,) = operation["responses"][str(status)]["content"]
            assert status in (200, 201)
            if kind == "application/json":
                schema = operation["responses"][str(status)]["content"][kind]["schema"]
                problems = [error.message for error in validator(schema).iter_errors(answer)]
                assert not problems, (problems, answer)
            status, answer = await made.call(call.method, path, body, token=None)
            assert not list(validator(DOCUMENT["components"]["schemas"]["Error"]).iter_errors(answer))

    asyncio.run(use())


async def filled(made: Side) -> None:
    """Let there be something of everything."""
    await made.order("list", EID)
    package = (await made.lab.poll()) and made.lab.context.store.orders(EID)[-1]
    assert package
    await made.order("delete", EID, iccid=ICCID)
    await made.call("POST", "/tokens", {"name": "gone0", "role": "view"})
    await made.call("PUT", "/routes/gone", {"target": "127.0.0.1:1"})
    made.lab.context.store.add_state_change(EID, "fallback", "26201")
    from .parties import tlv

    notification = made.lab.card.notification("0640", address="127.0.0.1:1")
    await made.lab.answer(tlv("BF3D", tlv("A0", notification)))


@pytest.mark.parametrize("kind", [*parameters.KINDS, *parameters.SINGLE_COMMANDS])
def test_every_kind_has_its_schema(kind: str) -> None:
    titles = [request["title"] for request in openapi.order_requests()]
    assert titles.count(kind) == 1 and len(titles) == len(parameters.KINDS) + len(parameters.SINGLE_COMMANDS)
    if kind in parameters.SINGLE_COMMANDS:
        body = {"eid": EID, "kind": kind, **made_of(kind)}
        assert not list(validator({"$ref": "#/components/schemas/OrderRequest"}).iter_errors(body))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
FIELDS = ["iccid", "rollback", "activation_code", "tags", "order_id", "psmos", "ecos", "smds_address", "flag"]
KINDS = [*parameters.KINDS, *parameters.SINGLE_COMMANDS, "dance", ""]


@FUZZ
@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from([*FIELDS, "colour"]), anything | st.sampled_from([ICCID, "LPA:1$a.b$C"])),
)
def test_any_parameters_are_checked_or_refused(kind: str, given_: dict[str, Any]) -> None:
    try:
        known, values = parameters.normalised(kind, given_)
        stored = parameters.checked(known, values)
    except HttpRefusal as error:
        assert error.status == 400 and error.what
        return
    assert json.loads(json.dumps(stored)) == stored
    assert parameters.commands_in(known, stored)["list"] in ("psmo", "eco")


def test_any_body_of_any_call_is_answered(pki: Pki, tmp_path: Path) -> None:
    """Random JSON and random bytes to every call that takes a body: 4xx or done, never 5xx."""
    loop = asyncio.new_event_loop()
    context = side(pki, tmp_path)
    made = loop.run_until_complete(context.__aenter__())
    targets = [call for call in CALLS if call.method in ("POST", "PUT") and call.name != "export"]

    @FUZZ
    @given(
        st.sampled_from(targets),
        st.dictionaries(st.sampled_from(["eid", "kind", "name", "role", "token", "orders", "target", "why"]), anything)
        | anything
        | st.binary(max_size=40),
    )
    def test(call: Any, body: Any) -> None:
        async def send() -> int:
            path = call.path.replace("{eid}", EID).replace("{id}", "1").replace("{name}", "x")
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Authorization": f"Bearer {HOME_TOKEN}"}
            async with made.client.request(call.method, path, data=data, headers=headers) as answer:
                content = await answer.read()
                if answer.status >= 400:
                    assert json.loads(content)["error"]["what"]
                return int(answer.status)

        assert loop.run_until_complete(send()) < 500

    try:
        test()
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()
