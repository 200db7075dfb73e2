CREATE TABLE "failure_counts" (
	"day_ms" bigint NOT NULL,
	"subject" "cidr" NOT NULL,
	"tenant" text NOT NULL,
	"host" text NOT NULL,
	"jail" text NOT NULL,
	"failures" bigint NOT NULL
) PARTITION BY RANGE ("day_ms");
--> statement-breakpoint
CREATE TABLE "failure_days" (
	"day_ms" bigint NOT NULL,
	"tenant" text NOT NULL,
	"jail" text NOT NULL,
	"failures" bigint NOT NULL,
	CONSTRAINT "failure_days_day_ms_tenant_jail_pk" PRIMARY KEY("day_ms","tenant","jail")
);
--> statement-breakpoint
CREATE INDEX "failure_counts_subject_index" ON "failure_counts" USING btree ("subject");