"""``/graphql``: ``handler`` answers, ``schema`` is made from the model's, ``bounds`` what a query may cost."""
