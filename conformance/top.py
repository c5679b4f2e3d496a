"""What the cases of the TOP gateway share: the parameter that the vendor documents, and what its answer must hold."""

import datetime
import re

from daypass import check, equal, matches

METHOD = "alibaba.security.deepvision.proxy.security.common.token.get"
ROOT = METHOD.replace(".", "_") + "_response"


def param(ours, **changes):
    """`param` for the client's own product, tenant and first store, with some members changed; None drops one."""
    members = {
        "product_code": ours["product_code"],
        "scene_code": ours["scene_code"],
        "usage_scene": ours["usage_scene"],
        "op_tenant_code": ours["tenant_code"],
        "op_poi_id": ours["poi_ids"][0],
        "request_id": "r-1",
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def check_answer(answer, ours, poi):
    """The members inside the root, in order, and the whole SecurityTokenCredential."""
    members = ["result", "resp_code", "resp_success", "resp_request_id", "message", "request_id"]
    equal(list(answer), members, "members of the answer")
    check(type(answer["resp_code"]) is int, f"resp_code is {answer['resp_code']!r}")
    check(answer["resp_success"] is True, f"resp_success is {answer['resp_success']!r}")
    check(isinstance(answer["resp_request_id"], str) and answer["resp_request_id"], "resp_request_id is empty")
    matches(r"[0-9a-z]{12,13}", answer["request_id"], "request_id")
    statements = answer["result"]["policy"]["statement"]["datas"]
    check_result(answer["result"], ours, poi)
    check_policy(
        [{**one, "resource": one["resource"]["string"], "action": one["action"]["string"]} for one in statements],
        ours,
        poi,
    )


def check_result(result, ours, poi):
    """SecurityTokenCredential but for the statements of its policy, which are wrapped in three ways."""
    members = "access_key_id access_key_secret product_code end_point_public scene_code end_point_internal expiration"
    members += " tenant_code field_id policy token"
    equal(set(result), set(members.split()), "members of result")
    matches(r"STS\.[\w.-]+", result["access_key_id"], "access_key_id")
    for name in ("access_key_secret", "token"):
        check(result[name], f"{name} is empty")
    for name in ("end_point_public", "end_point_internal"):
        matches(r"https://[\w.-]+", result[name], name)
    equal(result["product_code"], ours["product_code"], "product_code")
    equal(result["scene_code"], ours["scene_code"], "scene_code")
    equal(result["tenant_code"], ours["tenant_code"], "tenant_code")
    equal(result["field_id"], poi, "field_id")
    expires = datetime.datetime.strptime(result["expiration"], "%Y-%m-%dT%H:%M:%SZ")
    left = expires.replace(tzinfo=datetime.timezone.utc) - datetime.datetime.now(datetime.timezone.utc)
    check(left > datetime.timedelta(minutes=1), f"expiration leaves {left}")
    equal(result["policy"]["version"], "1", "version of the policy")


def check_policy(statements, ours, poi):
    """Nothing but the asked tenant's and store's folder, and no action of another product."""
    check(statements, "the policy has no statement")
    for statement in statements:
        equal(set(statement), {"resource", "effect", "action"}, "members of a statement")
        equal(statement["effect"], "Allow", "effect")
        check(statement["resource"] and statement["action"], f"empty list in {statement}")
        for resource in statement["resource"]:
            folder = re.escape(f"/{ours['tenant_code']}/{poi}/")
            matches(rf"acs:{ours['product_code']}:\*:[^:*]*\*?:[\w.-]+{folder}\*", resource, "resource")
        for action in statement["action"]:
            matches(rf"{ours['product_code']}:[A-Za-z]+", action, "action")
