"""The graph of a traced module: its expressions in order, and what edits them."""

import copy
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from .. import _html
from .._errors import require
from ..module.module import Module
from ..tensor import Tensor
from .expr import CallFunction, CallMethod, Expr, Input, is_call_module
from .filters import ExprFilter, NodeFilter
from .node import ModuleNode, Node, TensorNode
from .pytree import TreeDef, tree_flatten
from .serialization import WRITTEN_AS, load_expr


class NameSpace:
    """The names that a graph has given."""

    def __init__(self, name, qualname):
        self.name = name
        self.qualname = qualname
        self._used_names = {}

    def create_unique_name(self, name: str, node: Any = None) -> str:
        """``name``, or ``name_1``, ``name_2``… if it is taken; from now on taken by ``node``."""
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
        if name[:1].isdigit():
            name = "_" + name
        unique, count = name, 0
        while unique in self._used_names:
            count += 1
            unique = f"{name}_{count}"
        self._used_names[unique] = node
        return unique

    def auto_naming_for_outputs(self, expr: Expr):
        """Names the results of an expression by what it calls."""
        where, stem = self.qualname, ""
        if isinstance(expr, CallMethod):
            owner = expr.inputs[0] if expr.inputs else None
            if isinstance(owner, ModuleNode):
                stem, where, inside = owner.name, owner.qualname, "out"
                if any(isinstance(u, CallMethod) and u is not expr for u in owner.users):
                    stem = self.create_unique_name(owner.name)
            else:
                stem = expr.method.strip("_")
                inside = f"method_{stem}"
        elif isinstance(expr, CallFunction):
            stem = expr.func.__name__
            inside = f"func_{stem}"
        else:
            stem = expr.op_name().lower()
            inside = f"def_{stem}"
        for node in expr.outputs:
            node._name = self.create_unique_name(f"{stem}_out", node)
            node._qualname = f"{where}.[{inside}]"

    def merge(self, other: "NameSpace"):
        """Takes over the names of another one."""
        self._used_names.update(other._used_names)

    def associate_name_with_obj(self, name: str, node: Node):
        """Gives a name to a node."""
        require(self._used_names.get(name) is None, f"the name {name!r} is taken")
        self._used_names[name] = node

    def unassociate_name_with_obj(self, node: Node):
        """Frees the name of a node."""
        for name in [n for n, used in self._used_names.items() if used is node]:
            del self._used_names[name]

    @property
    def used_names(self):
        """The names that are taken."""
        return self._used_names


class InternalGraph:
    """What a traced module computes: expressions that make nodes of nodes.

    Print it to read it; :meth:`insert_exprs` and :meth:`replace_node` change it, :meth:`compile` drops what is left over.

    Examples:
        >>> import megalith as mge, megalith.functional as F, megalith.module as M, megalith.traced_module as tm
        >>> class Net(M.Module):
        ...     def forward(self, x):
        ...         return F.relu(x + 1)
        >>> net = tm.trace_module(Net(), mge.Tensor([1.0]))
        >>> print(net.graph)  # doctest: +NORMALIZE_WHITESPACE
        Net.Graph (self, x) {
                %2:  add_out = x.__add__(1, )
                %3:  relu_out = nn.relu(add_out, )
                return relu_out
        }
        >>> graph = net.graph
        >>> with graph.insert_exprs():
        ...     out = F.exp(graph.outputs[0])
        >>> graph.replace_node({graph.outputs[0]: out})
        >>> graph.compile()
        >>> net(mge.Tensor([-2.0]))
        Tensor([1.], device=xpux:0)
    """

    def __init__(self, name: str, qualname: str):
        self._exprs: List[Expr] = []
        self._inputs: List[Node] = []
        self._outputs: List[Node] = []
        self._watch_point: List[Node] = []
        self._end_point: List[Node] = []
        self._namespace = NameSpace(name, qualname)
        self._name = name
        self._qualname = qualname
        self._module = None  # the TracedModule that it belongs to
        self._top_graph = None

    @property
    def name(self):
        """Its name: the path of its module with underscores."""
        return self._name

    @name.setter
    def name(self, new_name: str):
        self._name = new_name

    @property
    def qualname(self):
        """The path of its module, which begins with the class of the outermost one."""
        return self._qualname

    @property
    def inputs(self) -> List[Node]:
        """Nodes of its arguments; the first is the module itself."""
        return self._inputs

    @property
    def outputs(self) -> List[Node]:
        """Nodes of its results, flat."""
        return self._outputs

    @property
    def top_graph(self):
        """The graph that calls it; None for the outermost one."""
        return self._top_graph

    def _subgraphs(self):
        """(expression, graph) of calls of traced modules, each graph once."""
        seen = set()
        for expr in self._exprs:
            graph = expr.graph if isinstance(expr, CallMethod) else None
            if graph is not None and id(graph) not in seen:
                seen.add(id(graph))
                yield expr, graph

    def _walk(self, recursive):
        """Its expressions, those of its arguments first; graphs that it calls follow the first call."""
        yield from (node.expr for node in self._inputs)
        inside = {id(expr): graph for expr, graph in self._subgraphs()} if recursive else {}
        for expr in self._exprs:
            yield expr
            if id(expr) in inside:
                yield from inside[id(expr)]._walk(True)

    def exprs(self, recursive=True):
        """Its expressions.

        Args:
            recursive: whether those of the graphs that it calls follow too.
        """
        return ExprFilter(self._walk(recursive))

    def nodes(self, recursive=True):
        """Its nodes.

        Args:
            recursive: whether those of the graphs that it calls follow too.
        """
        return NodeFilter(node for expr in self._walk(recursive) for node in expr.outputs)

    def get_function_by_type(self, func: Callable = None, recursive=True):
        """Calls of a function, or of any."""
        return self.exprs(recursive).call_function(func)

    def get_method_by_type(self, method: str = None, recursive=True):
        """Calls of a method (``"__call__"``: of modules), or of any."""
        return self.exprs(recursive).call_method(method)

    def get_expr_by_id(self, expr_id: List[int] = None, recursive=True):
        """Expressions by their ids."""
        return self.exprs(recursive).expr_id(expr_id)

    def get_module_by_type(self, module_cls: Module, recursive=True):
        """Nodes of modules of a class."""
        require(
            isinstance(module_cls, type) and issubclass(module_cls, Module),
            "get_module_by_type takes a class of modules",
        )
        return self.nodes(recursive).type(module_cls)

    def get_node_by_id(self, node_id: List[int] = None, recursive=True):
        """Nodes by their ids."""
        return self.nodes(recursive).node_id(node_id)

    def get_node_by_name(self, name: str = None, ignorecase: bool = True, recursive=True):
        """Nodes whose name fits a pattern with ``*`` and ``?``."""
        return self.nodes(recursive).name(name, ignorecase)

    def get_dep_exprs(self, nodes: Sequence[Node]) -> List[Expr]:
        """All expressions that nodes depend on."""
        nodes = list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]
        found, seen = [], set()
        stack = [node.expr for node in nodes]
        while stack:
            expr = stack.pop()
            if id(expr) in seen:
                continue
            seen.add(id(expr))
            found.append(expr)
            stack.extend(node.expr for node in expr.inputs)
        return found

    def _place(self, expr):
        """Where an expression stands; arguments stand before all."""
        if isinstance(expr, Input):
            return -1
        for i, one in enumerate(self._exprs):
            if one is expr:
                return i
        require(False, f"{expr} is not in the graph {self._name}")

    # Arguments and results.

    def _continue_ids(self):
        """Lets new expressions and nodes have ids that follow those of the outermost graph."""
        top = self
        while top.top_graph is not None:
            top = top.top_graph
        exprs = top.exprs().as_list()
        Expr._set_next_id(max(expr._id for expr in exprs) + 1)
        Node._set_next_id(max(node._id for expr in exprs for node in expr.outputs) + 1)

    def _new_input(self, name, shape=None, dtype=None):
        name = self._namespace.create_unique_name(name)
        node = Input.make(name=name, type=TensorNode, qualname=f"{self._qualname}.[{name}]")
        node._shape, node._dtype = shape, dtype
        self._adopt(node.expr)
        self._namespace._used_names[name] = node
        return node

    def _owner(self, what):
        require(self._module is not None, f"{what}: the graph belongs to no traced module")
        return self._module

    def _input_def(self, args, kwargs):
        """The definition of a call with nodes as arguments."""
        return tree_flatten(((self._inputs[0], *args), kwargs))[1]

    def reset_inputs(self, *args, **kwargs):
        """Replaces all arguments but the module: there will be one for each tensor in these.

        Returns:
            The new nodes, flat. Put them where the old ones were by :meth:`replace_node`.
        """
        owner = self._owner("reset_inputs")
        require(self._top_graph is None, "reset_inputs: only the outermost graph's arguments can be replaced")
        self._continue_ids()
        leaves, definition = tree_flatten(((self._inputs[0], *args), kwargs))
        nodes = [leaves[0]]
        for leaf in leaves[1:]:
            if isinstance(leaf, Tensor):
                node = self._new_input("args")
                node._take(leaf)
                leaf = node
            nodes.append(leaf)
        self._inputs[:] = [node for node in nodes if isinstance(node, Node)]
        owner._rekey(self, definition)
        return self._inputs[1:]

    def add_input_node(self, shape: Tuple[int], dtype: str = "float32", name: str = "args"):
        """Adds an argument after the others.

        Args:
            shape, dtype: of the tensors that it will have.
            name: its name.
        """
        owner = self._owner("add_input_node")
        require(self._top_graph is None, "add_input_node: only the outermost graph takes new arguments")
        definition = owner._key_of(self)
        self._continue_ids()
        node = self._new_input(name, tuple(shape), np.dtype(dtype))
        self._inputs.append(node)
        leaf = tree_flatten(node)[1]
        args_def, kwargs_def = definition.children_defs
        args_def = TreeDef(args_def.type, args_def.aux_data, [*args_def.children_defs, leaf])
        owner._rekey(self, TreeDef(definition.type, definition.aux_data, [args_def, kwargs_def]))
        return node

    def reset_outputs(self, outputs):
        """Makes other nodes the results.

        Args:
            outputs: nodes, nested as the results shall be.
        """
        owner = self._owner("reset_outputs")
        nodes, definition = tree_flatten(outputs)
        for node in nodes:
            require(
                isinstance(node, TensorNode) and node.top_graph is self,
                f"reset_outputs: {node} is no tensor of the graph",
            )
        require(self._top_graph is None, "reset_outputs: only the outermost graph's results can be replaced")
        self._outputs[:] = nodes
        owner.argdef_outdef_map[owner._key_of(self)] = definition

    def add_output_node(self, node: TensorNode):
        """Adds a result: the module will return a tuple of what it returned and the new one."""
        owner = self._owner("add_output_node")
        key = owner._key_of(self)
        old = owner.argdef_outdef_map[key].unflatten(list(self._outputs))
        self.reset_outputs((old, node))

    # Editing.

    def insert_exprs(self, expr: Optional[Expr] = None):
        """A context in which calls with nodes of this graph become expressions of it.

        Args:
            expr: what they are inserted after; by default, what the last of the nodes that they take was made by.

        Examples:
            See :class:`InternalGraph`.
        """
        if expr is not None:
            require(expr.top_graph is self, "Expr to insert after is not in graph.")
        from .module_tracer import insertion

        return insertion(self, expr)

    def replace_node(self, repl_dict: Dict[Node, Node]):
        """Uses other nodes in place of some: in all expressions after those that make the new ones, and as results.

        Args:
            repl_dict: new nodes by old ones.
        """
        for old, new in repl_dict.items():
            require(isinstance(old, Node) and isinstance(new, Node), "replace_node takes nodes")
            graph = old.top_graph
            require(
                graph is not None and new.top_graph is graph, f"replace_node: {old} and {new} are not in the same graph"
            )
            require(
                isinstance(new, TensorNode) == isinstance(old, TensorNode),
                f"replace_node: {new} is not of {old}'s kind",
            )
            after = graph._place(new.expr)
            for user in list(old.users):
                if graph._place(user) > after:
                    user.replace_inputs({old: new})
            graph._outputs[:] = [new if node is old else node for node in graph._outputs]

    def compile(self):
        """Drops expressions whose results nothing uses."""
        kept, needed = [], {id(node) for node in (*self._outputs, *self._watch_point, *self._end_point)}
        for expr in reversed(self._exprs):
            if expr._disable_remove or any(id(node) in needed for node in expr.outputs):
                needed.update(id(node) for node in expr.inputs)
                kept.append(expr)
                continue
            for node in set(expr.inputs):
                node.users[:] = [u for u in node.users if u is not expr]
            for node in expr.outputs:
                self._namespace.unassociate_name_with_obj(node)
        self._exprs[:] = kept[::-1]

    def _adopt(self, *exprs):
        """Makes expressions and their nodes know this graph."""
        for expr in exprs:
            expr._top_graph = self
            for node in expr.outputs:
                node._top_graph = self

    def _relink(self):
        """What pickles leave out."""
        self._adopt(*(node.expr for node in self._inputs), *self._exprs)

    def _renumber(self, expr_id=0, node_id=0):
        """Gives ids in the order of the printed graph; returns the next ones."""
        for expr in self._walk(True):
            expr._id, expr_id = expr_id, expr_id + 1
            for node in expr.outputs:
                node._id, node_id = node_id, node_id + 1
        Expr._set_next_id(max(Expr._get_next_id(), expr_id))
        Node._set_next_id(max(Node._get_next_id(), node_id))
        return expr_id, node_id

    # Running.

    def interpret(self, *inputs):
        """Runs it.

        Args:
            inputs: the module, and a tensor for every other argument.

        Returns:
            The results, flat.
        """
        require(
            len(inputs) == len(self._inputs),
            f"the graph {self._name} takes {len(self._inputs)} values, not {len(inputs)}",
        )
        values = {id(node): value for node, value in zip(self._inputs, inputs)}
        watched = {id(node): node for node in self._watch_point}
        ends = {id(node) for node in self._end_point}
        uses = {}
        for node in (*self._outputs, *self._end_point):
            uses[id(node)] = len(self._exprs) + 1
        for place, expr in enumerate(self._exprs):
            for node in expr.inputs:
                uses[id(node)] = max(uses.get(id(node), 0), place)
        module = self._module
        for place, expr in enumerate(self._exprs):
            results = expr.interpret(*(values[id(node)] for node in expr.inputs))
            require(len(results) == len(expr.outputs), f"{expr} gave {len(results)} results, not {len(expr.outputs)}")
            for node, value in zip(expr.outputs, results):
                values[id(node)] = value
                if id(node) in watched and module is not None:
                    module.watch_node_value[node] = value
                ends.discard(id(node))
            for node in expr.inputs:  # memory goes back when the last user has run
                if uses[id(node)] == place:
                    values.pop(id(node), None)
            if self._end_point and not ends:
                return [values[id(node)] for node in self._end_point]
        return [values[id(node)] for node in self._outputs]

    def eval(self, *inputs: Tuple[Tensor]):
        """Runs it with a tensor for every argument but the module.

        Returns:
            The results, flat.
        """
        return self.interpret(self._owner("eval"), *inputs)

    # Copies. A graph's state is flat, as nodes and expressions of deep networks would nest too deeply.

    def __getstate__(self):
        return self._state(lambda expr: expr.__getstate__())

    def _state(self, state_of):
        exprs = [*(node.expr for node in self._inputs), *self._exprs]
        number = {id(node): i for i, node in enumerate(node for expr in exprs for node in expr.outputs)}
        flat = []
        for expr in exprs:
            state = state_of(expr)
            state["inputs"] = [number[id(node)] for node in expr.inputs]
            state["outputs"] = [
                (type(node), {k: v for k, v in node.__getstate__().items() if k not in ("expr", "users")})
                for node in expr.outputs
            ]
            flat.append((type(expr), state))
        names = {n: number.get(id(node)) for n, node in self._namespace.used_names.items()}
        lists = {k: [number[id(node)] for node in getattr(self, k)] for k in _NODE_LISTS}
        return {"flat": flat, "names": names, "name": self._name, "qualname": self._qualname, **lists}

    def __setstate__(self, state):
        if "flat" not in state:  # as MegEngine writes it
            self.__dict__.update({k: v for k, v in state.items() if k not in ("_rst", "_total_ids")})
            self._module = self._top_graph = None
            self._relink()
        else:
            self._restore(state)
            for expr in self._exprs:
                expr.version = WRITTEN_AS
        for expr in list(self._exprs):
            if not is_call_module(expr):  # those are repaired when the module is there
                load_expr(expr)

    def _restore(self, state):
        """Takes over a flat state."""
        self.__init__(state["name"], state["qualname"])
        nodes, exprs = [], []
        for kind, fields in state["flat"]:
            expr = kind.__new__(kind)
            fields = dict(fields)
            outputs = []
            for node_kind, node_fields in fields["outputs"]:
                node = node_kind.__new__(node_kind)
                node.__setstate__({**node_fields, "expr": expr, "users": []})
                outputs.append(node)
            fields["outputs"] = outputs
            fields["inputs"] = [nodes[i] for i in fields["inputs"]]
            expr.__setstate__(fields)
            for node in expr.inputs:
                node.users.append(expr)
            nodes.extend(outputs)
            exprs.append(expr)
        for key in _NODE_LISTS:
            setattr(self, key, [nodes[i] for i in state[key]])
        self._exprs = [expr for expr in exprs if not isinstance(expr, Input)]
        names = {n: None if i is None else nodes[i] for n, i in state["names"].items()}
        self._namespace._used_names = names
        self._relink()

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        new = memo.get(id(self))
        if new is None:
            new = memo[id(self)] = InternalGraph.__new__(InternalGraph)
            state = self._state(Expr.__getstate__)  # functions as they are: copies need no names
            new._restore(copy.deepcopy(state, memo))
            new._module = memo.get(id(self._module), self._module)
        return new

    def __format__(self, format_spec: str = "") -> str:
        spec = format_spec or ""
        require(spec in ("", "i", "p", "ip", "pi"), f"a graph has no format {format_spec!r}: use '', 'i', 'p' or 'ip'")
        lines = [f"{self._name}.Graph ({', '.join(format(node, spec) for node in self._inputs)}) {{"]
        lines += [format(expr, spec) for expr in self._exprs] or [""]
        lines.append("return " + ", ".join(format(node, spec) for node in self._outputs))
        return "\n\t".join(lines) + "\n}"

    def __repr__(self):
        return format(self, "")

    def _repr_html_(self):
        return _html.text(self)


_NODE_LISTS = ("_inputs", "_outputs", "_watch_point", "_end_point")
