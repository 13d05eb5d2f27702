"""An SES account without its messages: identities, configuration sets, the suppression list."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from infra.sandbox.amazon.service_model import AwsError
from infra.sandbox.amazon.sns import Sns, topic_arn
from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.mailbox import bare
from infra.sandbox.core.options import Options

ALL_EVENTS = "SEND REJECT BOUNCE COMPLAINT DELIVERY OPEN CLICK RENDERING_FAILURE DELIVERY_DELAY".split()
TRACKING = ("OPEN", "CLICK")
_QUOTA = ("Max24HourSend", "MaxSendRate", "SentLast24Hours")
LIMITS: dict[str, Any] = {
    "Max24HourSend": 1_000_000.0,
    "MaxSendRate": 500.0,
    "SentLast24Hours": 0.0,
    "SendingEnabled": True,
    "EnforcementStatus": "HEALTHY",
}
"""GetAccount's default answers."""
Operation = Callable[[dict[str, Any]], dict[str, Any]]
T = TypeVar("T")


class SesAccount:
    """The account's state, and the operations that read and change it."""

    def __init__(self, options: Options, book: Journal, sns: Sns) -> None:
        self._book = book
        self._sns = sns
        self._identities: dict[str, bool] = dict.fromkeys(options.verified_domains, True)
        self._sets: dict[str, dict[str, dict[str, Any]]] = {
            name: {
                "sandbox": {
                    "Enabled": True,
                    "MatchingEventTypes": [e for e in ALL_EVENTS if options.tracking or e not in TRACKING],
                    "SnsDestination": {"TopicArn": topic_arn(name)},
                }
            }
            for name in options.configuration_sets
        }
        self._suppressed: dict[str, tuple[str, float]] = {}
        self._limits = dict(LIMITS)
        book.subscribe("ses-identity", self._apply_identity)
        book.subscribe("ses-set", self._apply_set)
        book.subscribe("ses-suppressed", self._apply_suppressed)
        book.subscribe("reset", lambda entry, place: self._reset())
        self.operations: dict[str, Operation] = {
            "GetAccount": self._get_account,
            "CreateEmailIdentity": self._create_identity,
            "GetEmailIdentity": self._get_identity,
            "ListEmailIdentities": self._list_identities,
            "DeleteEmailIdentity": self._delete_identity,
            "CreateConfigurationSet": self._create_set,
            "GetConfigurationSet": self._get_set,
            "ListConfigurationSets": self._list_sets,
            "DeleteConfigurationSet": self._delete_set,
            "CreateConfigurationSetEventDestination": self._create_destination,
            "GetConfigurationSetEventDestinations": self._get_destinations,
            "UpdateConfigurationSetEventDestination": self._update_destination,
            "DeleteConfigurationSetEventDestination": self._delete_destination,
            "PutSuppressedDestination": self._put_suppressed,
            "GetSuppressedDestination": self._get_suppressed,
            "ListSuppressedDestinations": self._list_suppressed,
            "DeleteSuppressedDestination": self._delete_suppressed,
        }

    def subscribe_topics(self) -> None:
        """Ask the subscribers of every topic in use to confirm. Call it after the journal is replayed."""
        for destinations in self._sets.values():
            for destination in destinations.values():
                if arn := destination.get("SnsDestination", {}).get("TopicArn"):
                    self._sns.topic(arn)

    def may_send_as(self, address: str) -> bool:
        """Whether the address, its domain or a parent domain is verified."""
        domain = bare(address).rpartition("@")[2]
        parents = [domain.split(".", n)[-1] for n in range(domain.count(".") + 1)]
        return any(self._identities.get(identity, False) for identity in (bare(address), *parents))

    def verify(self, identity: str) -> None:
        """Verify an identity, as its owner does with the link in Amazon's email or with DNS records."""
        self._book.write("ses-identity", identity=identity.lower(), verified=True)

    def has_set(self, name: str) -> bool:
        """Whether a configuration set with that name exists."""
        return name in self._sets

    def topics(self, configuration_set: str, event: str) -> list[str]:
        """The topics that get this event type (`SEND`) for messages of this configuration set."""
        return [
            destination["SnsDestination"]["TopicArn"]
            for destination in self._sets.get(configuration_set, {}).values()
            if destination.get("Enabled") and event in destination["MatchingEventTypes"]
            and "SnsDestination" in destination
        ]  # fmt: skip

    def suppressed(self, address: str) -> str:
        """Why the address is suppressed: BOUNCE, COMPLAINT, or an empty string."""
        return self._suppressed.get(bare(address), ("", 0.0))[0]

    def suppress(self, address: str, reason: str) -> None:
        """Put an address on the account's suppression list."""
        self._book.write("ses-suppressed", address=bare(address), reason=reason, at=time.time())

    def limit(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Change limits and status in GetAccount's answer, by its own names. Returns the whole answer.

        The change lasts until a reset or a restart. Raises ValueError if a name or the type of a value is wrong.
        """
        for name, value in changes.items():
            if name not in LIMITS:
                raise ValueError(f"there is no {name}; there are {', '.join(LIMITS)}")
            if type(value) is not type(LIMITS[name]) and not (type(value) is int and name in _QUOTA):
                raise ValueError(f"{name} is of another kind: such as {LIMITS[name]}")
        self._limits |= changes
        return dict(self._limits)

    def _reset(self) -> None:
        self._suppressed.clear()
        self._limits = dict(LIMITS)

    # Identities

    def _create_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        identity = params["EmailIdentity"].lower()
        if identity in self._identities:
            raise AwsError("AlreadyExistsException", f"Email identity {identity} already exist.")
        self._book.write("ses-identity", identity=identity, verified=False)
        return self._get_identity(params, short=True)

    def _get_identity(self, params: dict[str, Any], short: bool = False) -> dict[str, Any]:
        identity = params["EmailIdentity"].lower()
        verified = self._known(self._identities, identity, f"Email identity {identity} does not exist.")
        status = "SUCCESS" if verified else "PENDING"
        data: dict[str, Any] = {
            "IdentityType": "EMAIL_ADDRESS" if "@" in identity else "DOMAIN",
            "VerifiedForSendingStatus": verified,
            "DkimAttributes": {"SigningEnabled": True, "Status": status, "Tokens": [secrets.token_hex(16)]},
        }
        more = {"VerificationStatus": status, "FeedbackForwardingStatus": True, "Policies": {}, "Tags": []}
        return data if short else {**data, **more}

    def _list_identities(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "EmailIdentities": [
                {
                    "IdentityType": "EMAIL_ADDRESS" if "@" in identity else "DOMAIN",
                    "IdentityName": identity,
                    "SendingEnabled": verified,
                    "VerificationStatus": "SUCCESS" if verified else "PENDING",
                }
                for identity, verified in self._identities.items()
            ]
        }

    def _delete_identity(self, params: dict[str, Any]) -> dict[str, Any]:
        identity = params["EmailIdentity"].lower()
        self._known(self._identities, identity, f"Email identity {identity} does not exist.")
        self._book.write("ses-identity", identity=identity, verified=None)
        return {}

    # Configuration sets

    def _create_set(self, params: dict[str, Any]) -> dict[str, Any]:
        name = params.get("ConfigurationSetName", "")
        if not name:
            raise AwsError("BadRequestException", "Configuration set name must not be empty.")
        if name in self._sets:
            raise AwsError("AlreadyExistsException", f"Configuration set {name} already exists.")
        self._book.write("ses-set", name=name, destinations={})
        return {}

    def _get_set(self, params: dict[str, Any]) -> dict[str, Any]:
        self._destinations(params)
        return {"ConfigurationSetName": params["ConfigurationSetName"], "SendingOptions": {"SendingEnabled": True}}

    def _list_sets(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"ConfigurationSets": sorted(self._sets)}

    def _delete_set(self, params: dict[str, Any]) -> dict[str, Any]:
        self._destinations(params)
        self._book.write("ses-set", name=params["ConfigurationSetName"], destinations=None)
        return {}

    def _create_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        destinations = self._destinations(params)
        name = params["EventDestinationName"]
        if name in destinations:
            raise AwsError("AlreadyExistsException", f"Event destination {name} already exists.")
        return self._store(params, {**destinations, name: params["EventDestination"]})

    def _get_destinations(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"EventDestinations": [{"Name": n, **d} for n, d in self._destinations(params).items()]}

    def _update_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        destinations, name = self._destinations(params), params["EventDestinationName"]
        old = self._known(destinations, name, f"Event destination {name} does not exist.")
        return self._store(params, {**destinations, name: {**old, **params["EventDestination"]}})

    def _delete_destination(self, params: dict[str, Any]) -> dict[str, Any]:
        destinations, name = self._destinations(params), params["EventDestinationName"]
        self._known(destinations, name, f"Event destination {name} does not exist.")
        return self._store(params, {key: value for key, value in destinations.items() if key != name})

    def _destinations(self, params: dict[str, Any]) -> dict[str, dict[str, Any]]:
        name = params["ConfigurationSetName"]
        return self._known(self._sets, name, f"Configuration set {name} does not exist.")

    def _store(self, params: dict[str, Any], destinations: dict[str, dict[str, Any]]) -> dict[str, Any]:
        for destination in destinations.values():
            if not destination.get("MatchingEventTypes"):
                raise AwsError("BadRequestException", "At least one event type must be given.")
        self._book.write("ses-set", name=params["ConfigurationSetName"], destinations=destinations)
        self.subscribe_topics()
        return {}

    # The suppression list

    def _put_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self.suppress(params["EmailAddress"], params["Reason"])
        return {}

    def _get_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        address = bare(params["EmailAddress"])
        text = f"Email address {address} does not exist on your suppression list."
        reason, at = self._known(self._suppressed, address, text)
        return {"SuppressedDestination": {"EmailAddress": address, "Reason": reason, "LastUpdateTime": at}}

    def _list_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        reasons = params.get("Reasons") or ["BOUNCE", "COMPLAINT"]
        return {
            "SuppressedDestinationSummaries": [
                {"EmailAddress": address, "Reason": reason, "LastUpdateTime": at}
                for address, (reason, at) in self._suppressed.items()
                if reason in reasons
            ]
        }

    def _delete_suppressed(self, params: dict[str, Any]) -> dict[str, Any]:
        self._get_suppressed(params)
        self._book.write("ses-suppressed", address=bare(params["EmailAddress"]), reason="", at=time.time())
        return {}

    def _get_account(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": self._limits["EnforcementStatus"],
            "ProductionAccessEnabled": True,
            "SendQuota": {name: float(self._limits[name]) for name in _QUOTA},
            "SendingEnabled": self._limits["SendingEnabled"],
            "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
        }

    @staticmethod
    def _known(table: dict[str, T], key: str, otherwise: str) -> T:
        if key not in table:
            raise AwsError("NotFoundException", otherwise)
        return table[key]

    def _apply_identity(self, entry: Entry, place: Place) -> None:
        if entry["verified"] is None:
            self._identities.pop(entry["identity"], None)
        else:
            self._identities[entry["identity"]] = entry["verified"]

    def _apply_set(self, entry: Entry, place: Place) -> None:
        if entry["destinations"] is None:
            self._sets.pop(entry["name"], None)
        else:
            self._sets[entry["name"]] = entry["destinations"]

    def _apply_suppressed(self, entry: Entry, place: Place) -> None:
        if entry["reason"]:
            self._suppressed[entry["address"]] = (entry["reason"], entry["at"])
        else:
            self._suppressed.pop(entry["address"], None)
