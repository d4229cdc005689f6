"""YAML in which no key stands twice: the later one would win without a word."""

from __future__ import annotations

from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # As it is written: later what is merged stands beside the keys that replace it.
        node = super().compose_mapping_node(anchor)
        names: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in names:
                    said = f"the key {key.value} stands twice in one section"
                    raise yaml.MarkedYAMLError(problem=said, problem_mark=key.start_mark)
                names.add(key.value)
        return node


def load_yaml(text: str) -> Any:
    """What the text says.

    Raises:
        YAMLError: it is not YAML, or a key stands twice.
        ValueError: a value looks like a date or a number and is none.

    Example:
        >>> load_yaml("a: {b: 1, c: 2}")
        {'a': {'b': 1, 'c': 2}}
    """
    return yaml.load(text, Loader=_Loader)
