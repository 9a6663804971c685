"""What can be trained: the built-in candidates, each with its search space, and the project's own by import path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import ComplementNB, GaussianNB
from sklearn.pipeline import Pipeline

from fairlead.errors import ProjectError, UserCodeError
from fairlead.model.preprocess import Recipe, preprocessing
from fairlead.model.space import Space, dimension
from fairlead.nearest import did_you_mean, nearest
from fairlead.schema import Schema
from fairlead.spec import Project
from fairlead.spec.metrics import Task
from fairlead.spec.project import Candidate, CustomCandidate
from fairlead.usercode import load_function

Parameters = Mapping[str, Any]
RawSpace = Mapping[str, Sequence[Any] | Mapping[str, Any]]

TEXT_SPACE: RawSpace = {"text_ngrams": [1, 2], "text_terms": [20_000]}
"""Added to every space of a linear candidate when the schema has texts."""
DENSE_TEXT_SPACE: RawSpace = {"text_ngrams": [1], "text_terms": [500]}
"""The same for candidates that need a dense matrix, where every term is a column in memory."""
MAX_CATEGORIES = 255
"""Histogram gradient boosting reads categories as such only up to its number of bins."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One entry of the catalogue."""

    name: str
    tasks: tuple[Task, ...]
    says: str
    make: Callable[[Schema, dict[str, Any]], Any]
    """An unfitted estimator from parameters; may change the mapping it gets."""
    space: RawSpace
    recipe: Recipe
    text_space: RawSpace = field(default_factory=lambda: TEXT_SPACE)
    texts: bool | None = None
    """Only for schemas with (or without) texts; None: for all."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A candidate as the search sees it: resolved, with a space, ready to be built for any parameters."""

    name: str
    space: Space
    schema: Schema
    seed: int
    make: Callable[[dict[str, Any]], Any]
    recipe: Recipe
    custom_features: Callable[[Schema], Any] | None = None

    def brings_features(self, parameters: Parameters) -> bool:
        """Whether the project's own function returns a pipeline, which then prepares its features itself."""
        return isinstance(self.estimator(parameters), Pipeline)

    def recipe_of(self, parameters: Parameters) -> Recipe:
        """How fairlead prepares features for these parameters."""
        return replace(
            self.recipe,
            ngrams=parameters.get("text_ngrams", self.recipe.ngrams),
            terms=parameters.get("text_terms", self.recipe.terms),
        )

    def features_key(self, parameters: Parameters) -> Any:
        """Equal keys mean equal features; contenders with equal keys can share the work."""
        if self.brings_features(parameters):
            return "as encoded"
        return "own" if self.custom_features is not None else self.recipe_of(parameters)

    def features(self, parameters: Parameters) -> Any | None:
        """An unfitted transformer, or None if the estimator reads the encoded array itself."""
        if self.brings_features(parameters):
            return None
        if self.custom_features is not None:
            return seeded(self.custom_features(self.schema), self.seed)
        return preprocessing(self.schema, self.recipe_of(parameters))

    def estimator(self, parameters: Parameters) -> Any:
        """An unfitted estimator, every random state in it seeded."""
        own = {name: value for name, value in parameters.items() if not name.startswith("text_")}
        return seeded(self.make(own), self.seed)

    def pipeline(self, parameters: Parameters) -> Pipeline:
        """Features and estimator as one unfitted pipeline."""
        features = self.features(parameters)
        steps = [] if features is None else [("features", features)]
        return Pipeline([*steps, ("model", self.estimator(parameters))])


def seeded(estimator: Any, seed: int) -> Any:
    """Set every random state of *estimator* and what is inside it that is still open."""
    open_states = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if name.split("__")[-1] == "random_state" and value is None
    }
    return estimator.set_params(**open_states) if open_states else estimator


# ----------------------------------------------------------------------------------------------- the catalogue


def _boosting(kind: type[Any]) -> Callable[[Schema, dict[str, Any]], Any]:
    def make(schema: Schema, parameters: dict[str, Any]) -> Any:
        native = parameters.pop("native_categories", False)
        categories = list(_small_categories(schema)) if native else None
        # Early stopping would hold out random rows, whatever time and group say.
        return kind(categorical_features=categories or None, early_stopping=False, **parameters)

    return make


def _small_categories(schema: Schema) -> Sequence[int]:
    if schema.series is not None:
        return schema.categorical if len(schema.series.keys) < MAX_CATEGORIES else ()
    fields = [field for field in schema.fields if field.kind == "category"]
    pairs = zip(schema.categorical, fields, strict=True)
    return [position for position, field in pairs if len(field.values) < MAX_CATEGORIES]


def _plain(kind: type[Any], **fixed: Any) -> Callable[[Schema, dict[str, Any]], Any]:
    return lambda _schema, parameters: kind(**(fixed | parameters))


_FOREST: RawSpace = {
    "n_estimators": [100],
    "max_depth": [6, 10, 16],
    "min_samples_leaf": [1, 5, 20],
    "max_features": ["sqrt", 0.5],
}
_BOOSTING: RawSpace = {
    "learning_rate": {"low": 0.03, "high": 0.3, "log": True},
    "max_iter": [100, 200],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [10, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}
_NUMBERS: tuple[Task, ...] = ("regression", "forecast")
_FILLED = Recipe("trees", fill=True)
_DENSE = Recipe("scaled", dense=True, terms=500)

_ALL = (
    BuiltIn(
        "logistic", ("classification",), "Logistic regression: fast, linear, well calibrated.",
        _plain(LogisticRegression, max_iter=1000),
        {"C": {"low": 0.01, "high": 100.0, "log": True}}, Recipe("scaled"),
    ),
    BuiltIn(
        "sgd", ("classification",), "Logistic regression by stochastic gradient descent: for many rows or many terms.",
        _plain(SGDClassifier, loss="log_loss"),
        {"alpha": {"low": 1e-6, "high": 1e-3, "log": True}}, Recipe("scaled"),
    ),
    BuiltIn(
        "naive_bayes", ("classification",), "Complement naive Bayes: for texts, trains at once.",
        _plain(ComplementNB), {"alpha": {"low": 0.01, "high": 1.0, "log": True}}, Recipe("counts"), texts=True,
    ),
    BuiltIn(
        "naive_bayes", ("classification",), "Gaussian naive Bayes: trains at once.",
        _plain(GaussianNB), {"var_smoothing": {"low": 1e-9, "high": 0.1, "log": True}},
        Recipe("scaled", dense=True), texts=False,
    ),
    BuiltIn(
        "hist_gradient_boosting", ("classification",), "Boosted trees on histograms: usually the best on tables.",
        _boosting(HistGradientBoostingClassifier), _BOOSTING, Recipe("trees", dense=True, terms=500), DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "hist_gradient_boosting", _NUMBERS, "Boosted trees on histograms: usually the best on tables.",
        _boosting(HistGradientBoostingRegressor), {**_BOOSTING, "loss": ["squared_error", "absolute_error"]},
        Recipe("trees", dense=True, terms=500), DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "random_forest", ("classification",), "Averaged deep trees on resampled rows: robust, little to tune.",
        _plain(RandomForestClassifier), _FOREST, _FILLED, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "random_forest", _NUMBERS, "Averaged deep trees on resampled rows: robust, little to tune.",
        _plain(RandomForestRegressor), _FOREST, _FILLED, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "extra_trees", ("classification",), "Averaged trees with random cuts: as random_forest, smoother, faster.",
        _plain(ExtraTreesClassifier), _FOREST, _FILLED, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "extra_trees", _NUMBERS, "Averaged trees with random cuts: as random_forest, smoother, faster.",
        _plain(ExtraTreesRegressor), _FOREST, _FILLED, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "ridge", _NUMBERS, "Linear regression with a penalty on large coefficients: fast, extrapolates.",
        _plain(Ridge), {"alpha": {"low": 0.01, "high": 1000.0, "log": True}}, Recipe("scaled"),
    ),
    BuiltIn(
        "kmeans", ("clustering",), "Round clusters of similar size around their means.",
        _plain(KMeans, n_init=10), {"n_clusters": {"low": 2, "high": 10}}, _DENSE, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "minibatch_kmeans", ("clustering",), "k-means on small batches: for many rows.",
        _plain(MiniBatchKMeans, n_init=10), {"n_clusters": {"low": 2, "high": 10}}, _DENSE, DENSE_TEXT_SPACE,
    ),
    BuiltIn(
        "gaussian_mixture", ("clustering",), "Overlapping clusters of any elliptic shape, with probabilities.",
        _plain(GaussianMixture), {"n_components": {"low": 2, "high": 10}, "covariance_type": ["full", "diag"]},
        _DENSE, DENSE_TEXT_SPACE,
    ),
)  # fmt: skip


CANDIDATES: dict[Task, dict[str, BuiltIn]] = {
    task: {entry.name: entry for entry in _ALL if task in entry.tasks} for task in get_args(Task)
}
"""Task to name to what it is, for people."""


def built_in(task: Task, *, texts: bool = False) -> dict[str, BuiltIn]:
    """The catalogue of one task, by name, for schemas with or without texts."""
    return {entry.name: entry for entry in _ALL if task in entry.tasks and entry.texts in (None, texts)}


# ----------------------------------------------------------------------------------------------- from the project


def contenders(project: Project, root: Path, schema: Schema) -> tuple[Contender, ...]:
    """The project's candidates, in its order.

    Args:
        project: The project file.
        root: Folder of the project's own package.
        schema: What the rows look like.

    Raises:
        ProjectError: An unknown name (the nearest one is given), a parameter the candidate does not have, or a name twice.
        UserCodeError: An import path that leads nowhere.
    """
    model = project.model
    features = load_function(root, model.features) if model.features else None
    found = [_contender(choice, project, root, schema) for choice in model.candidates]
    for name in (contender.name for contender in found):
        if sum(contender.name == name for contender in found) > 1:
            raise ProjectError(
                f"model.candidates has {name!r} twice", hint="Put all choices into one space, or set `name`."
            )
    return tuple(replace(contender, custom_features=features) for contender in found)


def _contender(
    choice: str | Candidate | CustomCandidate, project: Project, root: Path, schema: Schema
) -> Contender:
    seed = project.model.search.seed
    if isinstance(choice, CustomCandidate):
        return _custom(choice, project.model.task, root, schema, seed)
    if isinstance(choice, str):
        return _known(choice, {}, project.model.task, schema, seed)
    return _known(choice.name, choice.space, project.model.task, schema, seed)


def _known(name: str, changed: RawSpace, task: Task, schema: Schema, seed: int) -> Contender:
    entry = built_in(task, texts=bool(schema.texts)).get(name)
    if entry is None:
        meant = nearest(name, built_in(task))
        advice = f"Did you mean {meant!r}? " if meant else ""
        raise ProjectError(
            f"model.candidates has {name!r}, which is no candidate for {task}",
            hint=f"{advice}There are: {', '.join(built_in(task))}, and your own by {{use: module:function}}.",
        )
    _refuse_unknown_parameters(entry, schema, changed)
    raw = {**entry.space, **(entry.text_space if schema.texts else {}), **changed}
    space = {parameter: dimension(f"{name}.{parameter}", values) for parameter, values in raw.items()}
    return Contender(
        name, space, schema, seed, lambda parameters: entry.make(schema, parameters), entry.recipe
    )


def _refuse_unknown_parameters(entry: BuiltIn, schema: Schema, changed: RawSpace) -> None:
    known = {*entry.make(schema, {}).get_params(), *(entry.text_space if schema.texts else ())}
    known |= {"native_categories"} if entry.name == "hist_gradient_boosting" else set()
    for parameter in changed:
        if parameter not in known:
            raise ProjectError(
                f"candidate {entry.name} has no parameter {parameter!r}",
                hint=did_you_mean(parameter, sorted(known)),
            )


def _custom(choice: CustomCandidate, task: Task, root: Path, schema: Schema, seed: int) -> Contender:
    function = load_function(root, choice.use)
    name = choice.name or choice.use.partition(":")[2]
    space = {
        parameter: dimension(f"{name}.{parameter}", values) for parameter, values in choice.space.items()
    }

    def make(parameters: dict[str, Any]) -> Any:
        return _checked(choice.use, function(**parameters), task)

    return Contender(name, space, schema, seed, make, Recipe("scaled", dense=True, terms=500))


_DUTY = {
    "classification": ("fit", "predict_proba"),
    "regression": ("fit", "predict"),
    "forecast": ("fit", "predict"),
    "clustering": ("fit",),
}


def _checked(path: str, estimator: Any, task: Task) -> Any:
    """*estimator* if it can do what its task needs."""
    kind = type(estimator).__name__
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise UserCodeError(
            f"{path} returned {kind}, which is not a scikit-learn estimator",
            hint="Return an unfitted instance of a class derived from sklearn.base.BaseEstimator.",
        )
    lacking = [duty for duty in _DUTY[task] if not hasattr(estimator, duty)]
    if task == "clustering" and not (hasattr(estimator, "transform") or hasattr(estimator, "predict_proba")):
        lacking.append("transform or predict_proba")
    if lacking:
        raise UserCodeError(f"{path} returned {kind}, which has no {', '.join(lacking)}; {task} needs it")
    return estimator
