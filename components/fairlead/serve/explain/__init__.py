"""What each field adds to an answer.

``explainer`` is ``/explain``, ``shapley`` the method, ``reference`` the row that answers are compared with.
"""
