"""How the API shows a verification."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rest_framework import serializers

from migrations_app.verifications.models import Verdict, Verification, VolumeVerification


class RangeSerializer(serializers.Serializer[Any]):
    """A part of a file or device, in bytes."""

    offset = serializers.IntegerField()
    length = serializers.IntegerField()


class DifferenceSerializer(serializers.Serializer[Any]):
    """One path that differs."""

    path = serializers.CharField(help_text="Below the volume's root, which is a dot.")
    what = serializers.ListField(
        child=serializers.CharField(),
        help_text="content, size, mode, owner, mtime, xattrs, target, device, or on which side alone it is.",
    )
    newer = serializers.ChoiceField(choices=["source", "destination", ""], help_text="Where it was written later.")
    ranges = RangeSerializer(
        many=True, required=False, help_text="The first parts whose content differs, as closely as both sides told."
    )
    more_ranges = serializers.BooleanField(required=False, help_text="Whether others follow.")


class ReadSideSerializer(serializers.Serializer[Any]):
    """What was read on one side."""

    digest = serializers.CharField(required=False, help_text="Of the whole tree, under a key of this verification.")
    files = serializers.IntegerField(required=False)
    bytes = serializers.IntegerField(required=False)
    bytes_done = serializers.IntegerField(required=False, help_text="Read so far.")
    bytes_total = serializers.IntegerField(required=False)
    newest = serializers.IntegerField(required=False, help_text="Newest modification time, nanoseconds since 1970.")
    used_by = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Pods that used the claim when it was read."
    )
    snapshot_class = serializers.CharField(
        required=False, help_text="Of the snapshot that was read, where a pod held the claim alone."
    )


class VolumeVerificationSerializer(serializers.ModelSerializer[VolumeVerification]):
    namespace = serializers.CharField(source="volume.namespace", read_only=True)
    claim = serializers.CharField(source="volume.claim", read_only=True)
    source = ReadSideSerializer(read_only=True)  # type: ignore[assignment]
    destination = ReadSideSerializer(read_only=True)
    left_out = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Not compared: it could not be kept at the time."
    )
    differences = DifferenceSerializer(many=True, read_only=True)
    percent = serializers.IntegerField(read_only=True)

    class Meta:
        model = VolumeVerification
        exclude = ("id", "verification", "volume", "look", "buckets")


class VerificationSummarySerializer(serializers.ModelSerializer[Verification]):
    """The last verification, in short."""

    requested_by = serializers.CharField(read_only=True, allow_null=True, source="requested_by.username", default=None)
    volumes = serializers.SerializerMethodField()

    class Meta:
        model = Verification
        fields = ("status", "reason", "requested_at", "requested_by", "cancel_requested_at", "finished_at", "volumes")

    def get_volumes(self, verification: Verification) -> dict[str, int]:
        """How many volumes stand how."""
        counted = Counter(volume.status for volume in verification.volumes.all())
        return {verdict: counted[verdict] for verdict in Verdict.values}


class VerificationSerializer(VerificationSummarySerializer):
    """The last verification, with what was found about each volume."""

    volumes = VolumeVerificationSerializer(many=True, read_only=True)  # type: ignore[assignment]
