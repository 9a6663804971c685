"""The served contract: what one request row must look like, and how it becomes the array a model sees.

In: the feature columns of a contract. Out: a frozen :class:`Schema` that validates rows and encodes them. The
same code encodes training data and requests, so the two cannot differ; it travels inside every bundle.

Does not belong here: pandas, pyarrow, scikit-learn, pydantic, anything slow to import. numpy only.
"""

from fairlead.schema.encode import Batch
from fairlead.schema.fields import Field, FieldKind, Output, Schema, SeriesShape
from fairlead.schema.validate import FieldError

__all__ = ["Batch", "Field", "FieldError", "FieldKind", "Output", "Schema", "SeriesShape"]
