"""``dynflow-mp doctor``: one module for each thing that is looked at; none of them changes anything."""
