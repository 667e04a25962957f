"""The earlier place of `in_order` and `order_seed`, which scripts of stock Lightning import."""

from jupyter_train.training.data.sample_order import in_order, order_seed

__all__ = ["in_order", "order_seed"]
