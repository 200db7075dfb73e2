CREATE TABLE "approvals" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"net" "cidr" NOT NULL,
	"scope" text NOT NULL,
	"span_ms" bigint,
	"ports" integer[],
	"why" text NOT NULL,
	"reason" text NOT NULL,
	"asked_by" text NOT NULL,
	"asked_token" bigint NOT NULL,
	"asked_ms" bigint NOT NULL,
	"until_ms" bigint NOT NULL,
	"state" text NOT NULL,
	"decided_by" text,
	"decided_ms" bigint,
	"decided_note" text,
	"made_id" bigint
);
--> statement-breakpoint
CREATE INDEX "approvals_net_index" ON "approvals" USING btree ("net");--> statement-breakpoint
CREATE INDEX "approvals_waiting" ON "approvals" USING btree ("id") WHERE state = 'waiting';