"""What a GraphQL query may ask for: bounds on its shape, looked at before anything that takes longer.

A query is small and what it asks for need not be: fragments multiply, aliases repeat, levels nest. Counting is
linear in the query's length, because a fragment is counted once, however often it is spread.
"""

from __future__ import annotations

from collections.abc import Mapping

import graphql

FIELDS = 200
"""Written in a query; checking them for conflicts takes time with their square."""
EXPANDED = 500
"""Fields after fragments are put in place."""
DEPTH = 15
"""The introspection query that tools send has 13."""
ONCE = frozenset({"predict", "explain", "feedback"})
"""Not twice in a query: a prediction's id and row must name one row."""


def check_bounds(document: graphql.DocumentNode) -> None:
    """Refuse a query that would cost more than any sensible one, before anything looks at it closely.

    Raises:
        graphql.GraphQLError: More fields, depth or repetition than allowed, or fragments in a circle.
    """
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, graphql.FragmentDefinitionNode)
    }
    measure = _Measure(fragments)
    for definition in document.definitions:
        if isinstance(definition, graphql.ExecutableDefinitionNode):
            expanded, depth = measure.of(definition.selection_set)
            _check("fields, with fragments in place", expanded, EXPANDED)
            _check("levels", depth, DEPTH)
    _check("fields", len(measure.names), FIELDS)
    for name in sorted(ONCE):
        _check(f"fields named {name}", measure.names.count(name), 1)


def _check(what: str, found: int, most: int) -> None:
    if found > most:
        raise graphql.GraphQLError(f"the query has {found} {what}; {most} is the most")


class _Measure:
    """Counts fields and levels. Each fragment is measured once, however often it is spread."""

    def __init__(self, fragments: Mapping[str, graphql.FragmentDefinitionNode]) -> None:
        self.names: list[str] = []
        """Of all fields as written."""
        self._fragments = fragments
        self._known: dict[str, tuple[int, int] | None] = {}

    def of(self, selections: graphql.SelectionSetNode | None) -> tuple[int, int]:
        """Fields with fragments in place, and levels."""
        fields = depth = 0
        for node in selections.selections if selections else ():
            inner_fields, inner_depth = self._of_node(node)
            fields, depth = fields + inner_fields, max(depth, inner_depth)
        return fields, depth

    def _of_node(self, node: graphql.SelectionNode) -> tuple[int, int]:
        if isinstance(node, graphql.FragmentSpreadNode):
            return self._of_fragment(node.name.value)
        if isinstance(node, graphql.InlineFragmentNode):
            return self.of(node.selection_set)
        self.names.append(node.name.value)
        fields, depth = self.of(node.selection_set)
        return fields + 1, depth + 1

    def _of_fragment(self, name: str) -> tuple[int, int]:
        if name not in self._fragments:
            return 0, 0  # validation says so
        if name not in self._known:
            self._known[name] = None
            self._known[name] = self.of(self._fragments[name].selection_set)
        found = self._known[name]
        if found is None:
            raise graphql.GraphQLError(f"fragment {name} contains itself")
        return found
