CREATE TABLE "api_tokens" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"role" text NOT NULL,
	"tenant" text,
	"created_ms" bigint NOT NULL,
	"until_ms" bigint,
	"last_used_ms" bigint,
	"revoked_ms" bigint,
	CONSTRAINT "api_tokens_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "audit" (
	"sequence" bigint PRIMARY KEY NOT NULL,
	"at_ms" bigint NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"target" text NOT NULL,
	"detail" jsonb NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "meta" (
	"key" text PRIMARY KEY NOT NULL,
	"value" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "partitions" (
	"partition" integer PRIMARY KEY NOT NULL,
	"fence" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "policies" (
	"version" integer PRIMARY KEY NOT NULL,
	"document" text NOT NULL,
	"created_ms" bigint NOT NULL,
	"created_by" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "bans" (
	"id" bigint PRIMARY KEY NOT NULL,
	"net" "cidr" NOT NULL,
	"scope" text NOT NULL,
	"level" smallint,
	"ports" integer[],
	"started_ms" bigint NOT NULL,
	"until_ms" bigint,
	"ended_ms" bigint,
	"end_reason" text,
	"ended_by" text,
	"end_note" text,
	"reason" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"vote" boolean NOT NULL,
	"made_by" text NOT NULL,
	"note" text,
	"start_revision" bigint NOT NULL,
	"end_revision" bigint
);
--> statement-breakpoint
CREATE TABLE "local_bans" (
	"host" text NOT NULL,
	"net" "cidr" NOT NULL,
	"jail" text NOT NULL,
	"tenant" text NOT NULL,
	"started_ms" bigint NOT NULL,
	"until_ms" bigint,
	"ended_ms" bigint,
	"end_reason" text,
	CONSTRAINT "local_bans_host_net_jail_pk" PRIMARY KEY("host","net","jail")
);
--> statement-breakpoint
CREATE TABLE "orders" (
	"scope" text NOT NULL,
	"revision" bigint NOT NULL,
	"at_ms" bigint NOT NULL,
	"order" jsonb NOT NULL,
	CONSTRAINT "orders_scope_revision_pk" PRIMARY KEY("scope","revision")
);
--> statement-breakpoint
CREATE TABLE "rules" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"net" "cidr" NOT NULL,
	"tenant" text,
	"reason" text NOT NULL,
	"made_by" text NOT NULL,
	"created_ms" bigint NOT NULL,
	"until_ms" bigint,
	"removed_ms" bigint,
	"removed_by" text
);
--> statement-breakpoint
CREATE TABLE "scopes" (
	"scope" text PRIMARY KEY NOT NULL,
	"revision" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "stopped_bans" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"at_ms" bigint NOT NULL,
	"net" "cidr" NOT NULL,
	"scope" text NOT NULL,
	"why" text NOT NULL,
	"ports" integer[],
	"reason" text NOT NULL,
	"evidence" jsonb NOT NULL,
	"tenant" text,
	"closed_ms" bigint
);
--> statement-breakpoint
CREATE TABLE "failures" (
	"received_ms" bigint NOT NULL,
	"at_ms" bigint NOT NULL,
	"address" "inet" NOT NULL,
	"count" integer NOT NULL,
	"tenant" text NOT NULL,
	"host" text NOT NULL,
	"jail" text NOT NULL,
	"weight" text NOT NULL,
	"sample" text
) PARTITION BY RANGE ("received_ms");
--> statement-breakpoint
CREATE TABLE "agent_cursors" (
	"host" text NOT NULL,
	"epoch" text NOT NULL,
	"sequence" bigint NOT NULL,
	"ahead" bigint[] DEFAULT '{}' NOT NULL,
	"updated_ms" bigint NOT NULL,
	CONSTRAINT "agent_cursors_host_epoch_pk" PRIMARY KEY("host","epoch")
);
--> statement-breakpoint
CREATE TABLE "enrollment_tokens" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"hash" text NOT NULL,
	"tenant" text NOT NULL,
	"host" text,
	"uses_left" integer NOT NULL,
	"created_ms" bigint NOT NULL,
	"created_by" text NOT NULL,
	"until_ms" bigint NOT NULL,
	CONSTRAINT "enrollment_tokens_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "hosts" (
	"host" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"public_key" text NOT NULL,
	"state" text DEFAULT 'active' NOT NULL,
	"quarantine_lifted_ms" bigint,
	"observe" boolean DEFAULT false NOT NULL,
	"contribute" boolean DEFAULT true NOT NULL,
	"enrolled_ms" bigint NOT NULL,
	"last_seen_ms" bigint,
	"version" text,
	"firewall" text,
	"enforcing" boolean,
	"clock_skew_ms" integer,
	"order_epoch" bigint,
	"fleet_revision" bigint,
	"tenant_revision" bigint,
	"host_revision" bigint,
	"set_hash" text,
	"problems" jsonb DEFAULT '[]'::jsonb NOT NULL,
	CONSTRAINT "hosts_publicKey_unique" UNIQUE("public_key")
);
--> statement-breakpoint
CREATE TABLE "tenants" (
	"name" text PRIMARY KEY NOT NULL,
	"trust" text NOT NULL,
	"created_ms" bigint NOT NULL,
	"quarantined" boolean DEFAULT false NOT NULL,
	"quarantine_lifted_ms" bigint
);
--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD CONSTRAINT "enrollment_tokens_tenant_tenants_name_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hosts" ADD CONSTRAINT "hosts_tenant_tenants_name_fk" FOREIGN KEY ("tenant") REFERENCES "public"."tenants"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_at_ms_index" ON "audit" USING btree ("at_ms");--> statement-breakpoint
CREATE INDEX "bans_net_index" ON "bans" USING btree ("net");--> statement-breakpoint
CREATE INDEX "bans_standing" ON "bans" USING btree ("scope") WHERE "bans"."ended_ms" is null;--> statement-breakpoint
CREATE INDEX "bans_started_ms_index" ON "bans" USING btree ("started_ms");--> statement-breakpoint
CREATE INDEX "local_bans_net_index" ON "local_bans" USING btree ("net");--> statement-breakpoint
CREATE INDEX "local_bans_until_ms_index" ON "local_bans" USING btree ("until_ms");--> statement-breakpoint
CREATE INDEX "orders_at_ms_index" ON "orders" USING btree ("at_ms");--> statement-breakpoint
CREATE UNIQUE INDEX "rules_standing" ON "rules" USING btree ("kind","net",coalesce(tenant, '')) WHERE "rules"."removed_ms" is null;--> statement-breakpoint
CREATE INDEX "stopped_bans_at_ms_index" ON "stopped_bans" USING btree ("at_ms");--> statement-breakpoint
CREATE INDEX "stopped_bans_held" ON "stopped_bans" USING btree ("net") WHERE kind = 'held' and closed_ms is null;--> statement-breakpoint
CREATE INDEX "failures_address_index" ON "failures" USING btree ("address");--> statement-breakpoint
CREATE INDEX "hosts_tenant_index" ON "hosts" USING btree ("tenant");--> statement-breakpoint
CREATE FUNCTION audit_refuses_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	-- Forgetting what is older than the retention is the one thing that may remove entries; it says so in its transaction.
	IF TG_OP = 'DELETE' AND current_setting('fleet2ban.prune_audit', true) = 'on' THEN
		RETURN OLD;
	END IF;
	RAISE EXCEPTION 'the audit log is append-only';
END $$;--> statement-breakpoint
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON "audit" FOR EACH ROW EXECUTE FUNCTION audit_refuses_changes();--> statement-breakpoint
CREATE TRIGGER audit_never_truncated BEFORE TRUNCATE ON "audit" FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses_changes();
