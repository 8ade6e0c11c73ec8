"""Numbers and types of Session's messages: as another implementation has them, the newer as the wire document does."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from naisho.wire.session.v1 import session_pb2

#: Ours to the other implementation's, where the name differs.
OTHER_NAMES = {"UnsendRequest": "Unsend", "Profile": "DataMessage.LokiProfile"}
OTHER_FIELDS = {"unsendRequest": "unsendMessage", "communityInvitation": "openGroupInvitation"}
SHARED = (
    *("WebSocketMessage", "WebSocketRequestMessage", "Envelope", "Content", "DataMessage", "AttachmentPointer"),
    *("CallMessage", "ReceiptMessage", "TypingMessage", "DataExtractionNotification", "UnsendRequest"),
    *("MessageRequestResponse", "DataMessage.Quote", "DataMessage.Preview", "DataMessage.Reaction", "Profile"),
)
#: Fields that the other implementation lacks, and what is newer than it (wire 8.2).
NEWER = {
    "Envelope": {"sourceDevice": 7, "proSig": 11},
    "Content": {"sigTimestamp": 15, "proMessage": 16, "proSigForCommunityMessageOnly": 17},
    "DataMessage": {"groupUpdateMessage": 120},
    "Profile": {"lastProfileUpdateSeconds": 3},
}
WHOLE = {
    "GroupUpdateMessage": [
        *("", "invite", "infoChange", "memberChange", "promote", "memberLeft", "inviteResponse"),
        *("deleteMemberContent", "memberLeftNotification"),
    ],
    "GroupUpdateMessage.Invite": ["", "groupSessionId", "name", "memberAuthData", "adminSignature"],
    "GroupUpdateMessage.InfoChange": ["", "type", "updatedName", "updatedExpiration", "adminSignature"],
    "GroupUpdateMessage.MemberChange": ["", "type", "memberSessionIds", "historyShared", "adminSignature"],
    "GroupUpdateMessage.Promote": ["", "groupIdentitySeed", "name"],
    "GroupUpdateMessage.DeleteMemberContent": ["", "memberSessionIds", "messageHashes", "adminSignature"],
    "ProProof": ["", "version", "genIndexHash", "rotatingPublicKey", "expireAtMs", "sig"],
    "ProMessage": ["", "proof", "profileBitset", "messageBitset"],
}


def descriptor(module: ModuleType, path: str) -> Descriptor:
    outer, *inner = path.split(".")
    found: Descriptor = getattr(module, outer).DESCRIPTOR
    for name in inner:
        found = found.nested_types_by_name[name]
    return found


def kind(field: FieldDescriptor) -> tuple[int, int, bool]:
    return field.number, field.type, field.is_repeated


@pytest.fixture(scope="module")
def other() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own warnings about its own dependencies
        return importlib.import_module("session_python.protobuf.signalservice_pb2")


@pytest.mark.parametrize("name", SHARED)
def test_fields_are_those_of_another_implementation(name: str, other: ModuleType) -> None:
    ours, theirs = descriptor(session_pb2, name), descriptor(other, OTHER_NAMES.get(name, name))
    missing = {}
    for field in ours.fields:
        match = theirs.fields_by_name.get(OTHER_FIELDS.get(field.name, field.name))
        if match is None:
            missing[field.name] = field.number
            continue
        assert kind(field) == kind(match), field.name
        if field.enum_type is not None and match.enum_type is not None:
            theirs_too = {value.number for value in match.enum_type.values}
            assert {value.number for value in field.enum_type.values} <= theirs_too, field.name
    assert missing == NEWER.get(name, {})


@pytest.mark.parametrize("name", WHOLE)
def test_newer_messages_are_the_wire_documents(name: str) -> None:
    assert {field.name: field.number for field in descriptor(session_pb2, name).fields} == {
        field: number for number, field in enumerate(WHOLE[name]) if field
    }


def test_no_field_is_required_and_retired_numbers_stay_free() -> None:
    def every(message: Descriptor) -> list[Descriptor]:
        return [message, *(inner for nested in message.nested_types for inner in every(nested))]

    messages = [m for top in session_pb2.DESCRIPTOR.message_types_by_name.values() for m in every(top)]
    assert len(messages) > 25
    assert not [field.full_name for message in messages for field in message.fields if field.is_required]
    for name, retired in (("Content", {7, 11, 14}), ("DataMessage", {3, 5, 7, 104}), ("Envelope", {10})):
        assert not retired & {field.number for field in descriptor(session_pb2, name).fields}
