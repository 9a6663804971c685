"""``POST /graphql``: the same questions and answers as a GraphQL schema made from the model's.

::

    {"query": "query ($rows: [Row!]!) { predict(rows: $rows) { predictions { label probability } } }",
     "variables": {"rows": [{"amount": 12.5, "country": "DE"}]}}

==============  ========================================================================================
``model``       name, version, digest, format
``schema``      what a row has, and what the model gives for it
``health``      live and ready
``predict``     as ``/predict``
``explain``     as ``/explain``
``feedback``    a mutation, as ``/feedback``
==============  ========================================================================================

Field names of a row are those of the contract; what GraphQL does not allow in a name is ``_``, and the
description says the contract's name. Values pass through GraphQL unchecked, in scalars that stand for their
kinds: the one check of :mod:`fairlead.schema.validate` says what is wrong with them, with field, row, value and
rule in the error's ``extensions``. What a query may cost is bounded by
:mod:`fairlead.serve.graphql.bounds`.

This module imports graphene, so it is imported only where GraphQL is switched on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import graphql

from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback
from fairlead.serve.graphql.bounds import check_bounds
from fairlead.serve.graphql.schema import Call, Resolvers, schema_of
from fairlead.serve.guards.aside import Aside
from fairlead.serve.http import Answer, Limits, Refused, Request, json_answer, parse_json
from fairlead.serve.loading import LoadedModel

logger = logging.getLogger("fairlead.serve")

BODY_BYTES = 1024 * 1024
"""GraphQL takes some 2 µs for every value in a body; larger ones belong to ``/predict``."""
TOKENS = 10_000
"""Of a query: some hundred rows written into it. Rows in variables do not count."""
ERRORS = 20
"""A query that breaks so many rules of GraphQL is not looked at further."""


class GraphQL:
    """Answers ``/graphql`` for one model."""

    def __init__(
        self,
        model: LoadedModel,
        limits: Limits,
        *,
        explainer: Explainer,
        feedback: Feedback,
        ready: Callable[[], bool],
    ) -> None:
        """Make the schema. *explainer* and *feedback* are those of the other paths."""
        resolvers = Resolvers(model, limits, explainer, feedback, ready)
        self._schema = schema_of(model.schema, resolvers).graphql_schema
        self._aside = Aside("GraphQL")

    async def __call__(self, request: Request) -> Answer:
        """Answer the query of the body. Raises Refused if it is not one; errors in it are answered."""
        if len(request.body) > BODY_BYTES:
            raise Refused(413, f"a GraphQL request may have {BODY_BYTES} bytes; /predict takes more")
        return await self._aside.run(lambda: self._answer(parse_json(request.body)))

    def _answer(self, body: Any) -> Answer:
        query, variables, operation = _parts_of(body)
        try:
            document = graphql.parse(query, max_tokens=TOKENS)
            check_bounds(document)
            errors = graphql.validate(self._schema, document, max_errors=ERRORS)
        except graphql.GraphQLError as error:
            errors = [error]
        except RecursionError:
            errors = [graphql.GraphQLError("the query is nested too deeply")]
        if errors:
            return json_answer({"errors": [_said(error) for error in errors]}, status=400)
        return self._executed(document, variables, operation)

    def _executed(
        self, document: graphql.DocumentNode, variables: Mapping[str, Any] | None, operation: str | None
    ) -> Answer:
        call = Call()
        result = graphql.execute_sync(
            self._schema,
            document,
            context_value=call,
            variable_values=variables,
            operation_name=operation,
        )
        content: dict[str, Any] = {"data": result.data}
        if result.errors:
            content["errors"] = [_said(error) for error in result.errors]
            call.failures = _failures_of(result.errors)
        answer = json_answer(content, scored=call.scored)
        answer.failures = call.failures
        return answer


def _parts_of(body: Any) -> tuple[str, Mapping[str, Any] | None, str | None]:
    """Query, variables and name of the operation."""
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise Refused(400, 'the body must be an object: {"query": "…", "variables": {…}}')
    variables, operation = body.get("variables"), body.get("operationName")
    if variables is not None and not isinstance(variables, dict):
        raise Refused(400, "variables must be an object")
    if operation is not None and not isinstance(operation, str):
        raise Refused(400, "operationName must be a string")
    unknown = sorted(set(body) - {"query", "variables", "operationName", "extensions"})
    if unknown:
        raise Refused(400, f"there is no such key: {unknown[0][:60]!r}")
    return body["query"], variables, operation


# ------------------------------------------------------------------------------------------------------ errors


def _said(error: graphql.GraphQLError) -> dict[str, Any]:
    """An error as GraphQL has it; of what was not foreseen, only that it happened."""
    cause = error.original_error
    if isinstance(cause, Refused):
        rest = {name: value for name, value in cause.content.items() if name != "error"}
        error = _renamed(error, cause.content["error"], {"status": cause.status, **rest})
    elif cause is not None and not isinstance(cause, graphql.GraphQLError):
        logger.error("a GraphQL resolver failed", exc_info=cause)
        error = _renamed(error, "internal error", {"status": 500})
    return dict(error.formatted)


def _renamed(error: graphql.GraphQLError, message: str, extensions: dict[str, Any]) -> graphql.GraphQLError:
    return graphql.GraphQLError(message, error.nodes, path=error.path, extensions=extensions)


def _failures_of(errors: Iterable[graphql.GraphQLError]) -> Mapping[str, int]:
    """Validation failures by field, of the first refusal that has any."""
    refusals = [error.original_error for error in errors if isinstance(error.original_error, Refused)]
    return next((refusal.failures for refusal in refusals if refusal.failures), {})
