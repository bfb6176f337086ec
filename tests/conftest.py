import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two contended threads stall 10-100x

from jaxtyping import install_import_hook

# Before any import of ours: shapes and dtypes in annotations are checked on every call.
install_import_hook(["streamchar_ref", "evals", "baselines", "reports"], "tests.check_types")
