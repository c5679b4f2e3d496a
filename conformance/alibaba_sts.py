"""What the Python cases of Alibaba Cloud's STS share: a server with roles, and how its SDKs are asked."""

import calendar
import json
import time

from daypass import Service, check, equal, fresh, matches

ACCOUNT = Service.ACCOUNT
UPLOADS = {
    "Version": "1",
    "Statement": [
        {"Effect": "Allow", "Action": ["oss:PutObject", "oss:GetObject"], "Resource": ["acs:oss:*:*:pics/users/*"]},
        {
            "Effect": "Allow",
            "Action": ["oss:ListObjects"],
            "Resource": ["acs:oss:*:*:pics"],
            "Condition": {"StringLike": {"oss:Prefix": ["users/*"]}},
        },
    ],
}
RESOURCES = ["acs:oss:*:*:pics", "acs:oss:*:*:pics/users/*"]
ALICE = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:pics/users/alice/*"]}],
}


def roles(more=""):
    """What follows the first [[tenant]]: a role, one for partners, one that nobody was granted."""
    policy = f"policy = {{ ram = '{json.dumps(UPLOADS)}' }}"
    return more + f"""
[[tenant.role]]
name = "uploads"
lifetime = {{ default = "1h", max = "2h" }}
{policy}

[[tenant.role]]
name = "partner"
lifetime = {{ default = "1h", max = "12h" }}
external_id = "acme-7781"
{policy}

[[tenant.role]]
name = "unreachable"
lifetime = {{ default = "1h", max = "12h" }}
{policy}
"""


def arn(role, account=ACCOUNT):
    return f"acs:ram::{account}:role/{role}"


class Sts:
    """A server with those roles, and one client of it with two of them."""

    def __init__(self, name, more=""):
        self.service = Service(fresh(name), roles(more))
        key = self.service.client("app", "--role", "uploads", "--role", "partner", kind="access-key")
        self.key = key["access_key_id"], key["access_key_secret"]

    def resources(self, key_id, token):
        """What a temporary key may touch, as the operator reads it back."""
        shown = self.service.shown(key_id, token)["policy"]
        statements = shown.get("Statement") or shown["statement"]
        names = (one.get("Resource") or one["resource"] for one in statements)
        return sorted(resource for name in names for resource in ([name] if isinstance(name, str) else name))


def check_answer(answer, session, seconds, now, role="uploads"):
    """The members of an AssumeRole answer as a dict: the vendor's, and nothing else."""
    equal(set(answer), {"RequestId", "AssumedRoleUser", "Credentials"} | set(answer) & {"SourceIdentity"}, "members")
    matches(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", answer["RequestId"], "RequestId")
    user, credentials = answer["AssumedRoleUser"], answer["Credentials"]
    equal(user["Arn"], f"{arn(role)}/{session}", "Arn")
    matches(rf"\d+:{session}", user["AssumedRoleId"], "AssumedRoleId")
    matches(r"STS\.[\w-]+", credentials["AccessKeyId"], "AccessKeyId")
    check(credentials["AccessKeySecret"] and credentials["SecurityToken"], "a part of the key is empty")
    expires = matches_time(credentials["Expiration"])
    check(abs(expires - now - seconds) < 10, f"Expiration is {expires - now} seconds away, not {seconds}")


def matches_time(text):
    """The vendor's form of a time, as seconds since 1970."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def triple(answer):
    credentials = answer["Credentials"]
    return credentials["AccessKeyId"], credentials["AccessKeySecret"], credentials["SecurityToken"]


class Suite:
    """What is shown by each client. `call` takes the action, its parameters and a key of two or three parts, and returns
    the answer as a dict; `refused` the same, and returns code and message of the refusal as the SDK's user sees them."""

    def __init__(self, sts, call, refused):
        self.sts, self.call, self._refused = sts, call, refused

    def assume(self, role="uploads", session="app-1", key=None, **more):
        asked = {"RoleArn": arn(role), "RoleSessionName": session} | more
        return self.call("AssumeRole", asked, key or self.sts.key)

    def refused(self, expected, role="uploads", key=None, action="AssumeRole", **more):
        asked = {"RoleArn": arn(role), "RoleSessionName": "app-1"} | more if action == "AssumeRole" else more
        code, message = self._refused(action, asked, key or self.sts.key)
        equal(code, expected, f"code of the refusal ({message})")
        return message

    def whole(self):
        """The role's default life, a chosen one, and a key that works."""
        now = time.time()
        check_answer(self.assume(), "app-1", 3600, now)
        answer = self.assume(DurationSeconds=900)
        check_answer(answer, "app-1", 900, now)
        equal(self.sts.resources(*triple(answer)[::2]), sorted(RESOURCES), "resources of the policy")
        who = self.call("GetCallerIdentity", {}, triple(answer))
        equal(who["IdentityType"], "AssumedRoleUser", "IdentityType")
        equal(who["Arn"], f"acs:ram::{ACCOUNT}:assumed-role/uploads/app-1", "Arn")
        equal(who["AccountId"], ACCOUNT, "AccountId")
        owner = self.call("GetCallerIdentity", {}, self.sts.key)
        equal((owner["IdentityType"], owner["AccountId"]), ("RAMUser", ACCOUNT), "of the client's own key")
        self.refused("SignatureDoesNotMatch", action="GetCallerIdentity", key=altered(triple(answer)))
        self.refused("MissingSecurityToken", action="GetCallerIdentity", key=triple(answer)[:2])

    def narrowed(self):
        """A session policy is intersected with the role's: what goes beyond falls away."""
        answer = self.assume(Policy=json.dumps(ALICE))
        equal(self.sts.resources(*triple(answer)[::2]), ["acs:oss:*:*:pics/users/alice/*"], "resources of the policy")
        wider = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]}
        answer = self.assume(Policy=json.dumps(wider))
        equal(self.sts.resources(*triple(answer)[::2]), sorted(RESOURCES), "resources of the policy")

    def bad_policy(self):
        for policy in ("{", '{"Version":"2","Statement":[]}', '{"Version":"1","Statement":[{"Effect":"Perhaps"}]}'):
            self.refused("InvalidParameter.PolicyGrammar", Policy=policy)

    def partner(self):
        self.assume("partner", ExternalId="acme-7781")
        for more in ({}, {"ExternalId": "acme-7782"}):
            message = self.refused("NoPermission", "partner", **more)
            check("acme-7781" not in message, "the refusal tells the ExternalId")

    def traced(self):
        answer = self.assume(SourceIdentity="alice@example.com")
        equal(answer["SourceIdentity"], "alice@example.com", "SourceIdentity")
        # What strangers were refused is recorded once a second, so that the grant need not be the last one.
        grants = (one for one in self.sts.service.records() if one["event"]["event"] == "grant")
        check("alice@example.com" in json.dumps(list(grants)[-1]), "it is not in the record")

    def wrong_secret(self):
        return self.refused("SignatureDoesNotMatch", key=altered(self.sts.key))

    def unknown_key(self):
        self.refused("InvalidAccessKeyId.NotFound", key=("LTAI" + "0" * 20, self.sts.key[1]))

    def unknown_role(self):
        """One that does not exist, one of another account and one that is not granted are the same to the caller."""
        for role in ("nonesuch", "unreachable"):
            self.refused("EntityNotExist.Role", role)
        self.refused("EntityNotExist.Role", RoleArn=arn("uploads", "100000000002"))
        self.refused("InvalidParameter.RoleArn", RoleArn="uploads")

    def session_name(self):
        for name in ("a", "a b", "x" * 65):
            self.refused("InvalidParameter.RoleSessionName", RoleSessionName=name)

    def durations(self):
        for seconds in (899, 7201):
            self.refused("InvalidParameter.DurationSeconds", DurationSeconds=seconds)

    def no_chain(self):
        """A temporary key gets no other one."""
        self.refused("NoPermission", key=triple(self.assume()))


def altered(key):
    """The key with another secret."""
    return (key[0], key[1][::-1], *key[2:])
