"""Operators one by one on real numbers, with the kernels of a microcontroller; NumPy alone: python eager.py"""

import numpy as np
from ferrolite import ops

a = np.array([[1.0, 2.0], [3.0, 4.0]], "f4")
b = np.array([[0.5, -1.0], [0.25, 2.0]], "f4")
print("matmul", ops.matmul(a, b).round(2).tolist())
print("softmax", ops.softmax(np.array([[1.0, 2.0, 3.0]], "f4")).round(3).tolist())
try:
    ops.matmul(a, np.ones((3, 2), "f4"))
except ValueError as error:
    print(error)
