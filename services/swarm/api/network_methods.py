"""Methods about the network rather than one mailbox (wire 4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from naisho.protocol.service_nodes import BadListRequest, service_nodes_result
from services.swarm.api.answers import Answer
from services.swarm.api.mailbox_methods import Method
from services.swarm.api.service import Allowance, Service
from services.swarm.domain import node_views, parameters
from services.swarm.domain.parameters import Params
from services.swarm.domain.ports import Refused

_ECHOED: Final = 64


async def _info(service: Service, _: Params, __: Allowance) -> Answer:
    return Answer(200, {"version": service.version, "timestamp": service.clock()})


async def _get_swarm(service: Service, params: Params, _: Allowance) -> Answer:
    swarm = node_views.swarm_of(parameters.account(params), service.nodes)
    return Answer(200, node_views.swarm_view(swarm, service.nodes))


async def _active_nodes_bin(service: Service, _: Params, __: Allowance) -> Answer:
    return Answer(200, node_views.active_nodes_bin(service.nodes.active()))


async def _oxend_request(service: Service, params: Params, _: Allowance) -> Answer:
    endpoint = parameters.required(params, "endpoint")
    if not isinstance(endpoint, str):
        raise parameters.wrong_type("endpoint", "string")
    if endpoint == "ons_resolve":
        raise Refused(400, "ons_resolve is not available: this network keeps no names")
    if endpoint != "get_service_nodes":
        raise Refused(400, f"no oxend endpoint {endpoint[:_ECHOED]}")
    wanted = parameters.optional(params, "params") or {}
    if not isinstance(wanted, dict):
        raise parameters.wrong_type("params", "object")
    nodes = service.nodes
    try:
        result = service_nodes_result(nodes.active(), wanted, height=nodes.height, rng=service.rng)
    except BadListRequest as error:
        raise Refused(400, str(error)) from None
    return Answer(200, {"result": result})


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "info": _info,
        "get_swarm": _get_swarm,
        "get_snodes_for_pubkey": _get_swarm,
        "active_nodes_bin": _active_nodes_bin,
        "oxend_request": _oxend_request,
    }
)
