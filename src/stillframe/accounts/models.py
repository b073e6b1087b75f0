"""The tables of accounts: who may call, with which keys, and what each may do."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from stillframe.database.base import Base


class Account(Base):
    """Whom everything belongs to."""

    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    #: counts the changes of policies, and of which users have which
    policies_version: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class User(Base):
    """Somebody of an account, who may do what the policies attached to them allow."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("account_id", "name"),)

    user_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class PolicyRow(Base):
    """A policy of an account's own."""

    __tablename__ = "policies"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    document: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class AttachedPolicy(Base):
    """A policy that counts for a user, by its name: one of the account's own, or a managed one."""

    __tablename__ = "attached_policies"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True)
    policy_name: Mapped[str] = mapped_column(String(128), primary_key=True)


class AccessKey(Base):
    """An access key; its secret is encrypted with the keyring. Without a user it is the account's own."""

    __tablename__ = "access_keys"

    access_key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"), index=True)
    secret_encrypted: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class KeyringProof(Base):
    """One row: something that just the keyring can decrypt which all secrets here are encrypted with."""

    __tablename__ = "keyring_proof"
    __table_args__ = (CheckConstraint("number = 1", name="one"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    encrypted: Mapped[str]


class StsToken(Base):
    """A temporary key of a user or of a role, and the digest of the token that it counts with."""

    __tablename__ = "sts_tokens"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (role IS NULL)", name="principal"),
        CheckConstraint("user_id IS NOT NULL OR session_policy IS NOT NULL", name="role_policy"),
        Index("ix_sts_tokens_expires_at", "expires_at"),
    )

    access_key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"), index=True)
    role: Mapped[str | None] = mapped_column(String(64))
    session_policy: Mapped[str | None]
    secret_encrypted: Mapped[str]
    token_sha256: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class UsedNonce(Base):
    """A nonce that a signed request has used up, as long as its time would still be accepted."""

    __tablename__ = "used_nonces"
    __table_args__ = (Index("ix_used_nonces_until", "until"),)

    access_key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(128), primary_key=True)
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class LoginLink(Base):
    """A link by which somebody may log in to the console once, as the account itself; only its digest is kept."""

    __tablename__ = "login_links"
    __table_args__ = (Index("ix_login_links_expires_at", "expires_at"),)

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ConsoleSession(Base):
    """Somebody who is logged in to the console: by a key, as whom it belongs to; by a link, as the account itself.

    It ends with its key. Only the digest of its token is kept.
    """

    __tablename__ = "console_sessions"
    __table_args__ = (Index("ix_console_sessions_expires_at", "expires_at"),)

    token_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id"))
    access_key_id: Mapped[str | None] = mapped_column(
        ForeignKey("access_keys.access_key_id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
