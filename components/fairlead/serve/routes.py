"""Which paths a loaded model answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.serve import openapi, v2
from fairlead.serve.app import App
from fairlead.serve.batched import predictor_of
from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback, Offer
from fairlead.serve.http import Limits, Route
from fairlead.serve.loading import LoadedModel
from fairlead.serve.page import handler as page

OPTIONAL = frozenset({"graphql"})
"""What ``FAIRLEAD_APIS`` may switch on: interfaces that bring large libraries."""

SECURITY: Mapping[str, Any] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "token": {"type": "http", "scheme": "bearer"},
}
"""How callers show who they are, in the words of OpenAPI."""


def routes_of(
    model: LoadedModel,
    limits: Limits,
    app: App,
    *,
    feedback: Offer | None = None,
    apis: frozenset[str] = frozenset(),
) -> Mapping[str, Route]:
    """Routes by their exact paths.

    Args:
        model: Answers.
        limits: Of a request.
        app: Says whether it is ready, and what guards it.
        feedback: Takes labels; None where no log is kept.
        apis: Those of :data:`OPTIONAL` that are on.
    """
    explainer = Explainer(model, limits)
    labels = Feedback(model.schema.output, feedback, limits)
    routes = {
        "/predict": Route(
            "/predict", post=predictor_of(model, limits), waits=model.rules.batching is not None
        ),
        "/explain": Route("/explain", post=explainer, waits=True),
        "/feedback": Route("/feedback", post=labels),
        **v2.routes_of(model, limits, lambda: app.ready),
    }
    if "graphql" in apis:
        from fairlead.serve.graphql.handler import GraphQL  # noqa: PLC0415 - half a second that most do without

        answer = GraphQL(model, limits, explainer=explainer, feedback=labels, ready=lambda: app.ready)
        routes["/graphql"] = Route("/graphql", post=answer, waits=True)
    return routes | _descriptions(model, limits, app, explainer, routes)


def _descriptions(
    model: LoadedModel, limits: Limits, app: App, explainer: Explainer, routes: Mapping[str, Route]
) -> dict[str, Route]:
    """The page and the document, which tell of the other paths."""
    access = app.guards.access
    paths = tuple(path for path in ("/explain", "/feedback", "/graphql") if path in routes)
    document = openapi.document_of(
        model,
        limits,
        paths=paths,
        security=SECURITY if access is not None else None,
        explained_rows=explainer.most_rows,
    )
    shown = page.handler_of(model, paths=(*paths, "/openapi.json"), secured=access is not None)
    return {
        "/": Route("/", shown),
        "/openapi.json": Route("/openapi.json", openapi.handler_of(document)),
    }
