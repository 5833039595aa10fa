"""An MLflow tracking server that answers the hot API natively on MLflow's own schema."""

__version__ = "0.1.0"
