"""Sequential."""

from collections import OrderedDict

from .module import Module


class Sequential(Module):
    """Layers one after the other.

    Args:
        args: modules, or one OrderedDict of modules by name.

    Examples:
        >>> from collections import OrderedDict
        >>> import megalith.module as M
        >>> net = M.Sequential(OrderedDict([("fc", M.Linear(2, 3)), ("act", M.ReLU())]))
        >>> net[0], len(net), net.fc is net[0]
        (Linear(in_features=2, out_features=3, bias=True), 2, True)
    """

    def __init__(self, *args, **kwargs):
        super().__init__(**kwargs)
        self.layer_keys = []
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            layers = args[0].items()
        else:
            layers = ((str(i), module) for i, module in enumerate(args))
        for key, module in layers:
            setattr(self, key, module)
            self.layer_keys.append(key)

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return self.__class__(OrderedDict(zip(self.layer_keys[idx], self.layer_values[idx])))
        return getattr(self, self.layer_keys[idx])

    def __setitem__(self, idx, module):
        setattr(self, self.layer_keys[idx], module)

    def __delitem__(self, idx):
        keys = self.layer_keys[idx] if isinstance(idx, slice) else [self.layer_keys[idx]]
        for key in keys:
            delattr(self, key)
        del self.layer_keys[idx]

    def __len__(self):
        return len(self.layer_keys)

    def __iter__(self):
        return iter(self.layer_values)

    @property
    def layer_values(self):
        """The layers."""
        return [getattr(self, key) for key in self.layer_keys]

    def forward(self, inp):
        for layer in self.layer_values:
            inp = layer(inp)
        return inp
