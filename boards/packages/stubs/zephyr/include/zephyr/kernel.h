/* Nothing of Zephyr's kernel is used. */
