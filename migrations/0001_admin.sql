CREATE TABLE "idempotency" (
	"token_id" bigint NOT NULL,
	"key" text NOT NULL,
	"request" text NOT NULL,
	"created_ms" bigint NOT NULL,
	"status" integer,
	"body" text,
	"etag" text,
	CONSTRAINT "idempotency_token_id_key_pk" PRIMARY KEY("token_id","key")
);
--> statement-breakpoint
DROP INDEX "bans_standing";--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "label" text;--> statement-breakpoint
CREATE INDEX "idempotency_created_ms_index" ON "idempotency" USING btree ("created_ms");--> statement-breakpoint
CREATE INDEX "audit_actor_sequence_index" ON "audit" USING btree ("actor","sequence");--> statement-breakpoint
CREATE INDEX "audit_action_sequence_index" ON "audit" USING btree ("action","sequence");--> statement-breakpoint
CREATE INDEX "audit_target_sequence_index" ON "audit" USING btree ("target","sequence");--> statement-breakpoint
CREATE INDEX "audit_tenant" ON "audit" USING btree ((detail ->> 'tenant'),"sequence");--> statement-breakpoint
CREATE INDEX "bans_scope_id_index" ON "bans" USING btree ("scope","id");--> statement-breakpoint
CREATE INDEX "bans_level_id_index" ON "bans" USING btree ("level","id");--> statement-breakpoint
CREATE INDEX "bans_reason_id_index" ON "bans" USING btree ("reason","id");--> statement-breakpoint
CREATE INDEX "bans_standing_by_id" ON "bans" USING btree ("id") WHERE "bans"."ended_ms" is null;--> statement-breakpoint
CREATE INDEX "bans_standing_by_end" ON "bans" USING btree ("until_ms","id") WHERE "bans"."ended_ms" is null;--> statement-breakpoint
CREATE INDEX "failures_received_ms_index" ON "failures" USING btree ("received_ms");--> statement-breakpoint
CREATE INDEX "bans_standing" ON "bans" USING btree ("scope","id","level") WHERE "bans"."ended_ms" is null;