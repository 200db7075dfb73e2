CREATE TABLE "deeds" (
	"position" bigint PRIMARY KEY NOT NULL,
	"coordinator" integer NOT NULL,
	"at_ms" bigint NOT NULL,
	"deed" json NOT NULL
);
--> statement-breakpoint
CREATE TABLE "handed_failures" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"partition" integer NOT NULL,
	"failures" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sharers" (
	"id" serial PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"since_ms" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "partitions" ADD COLUMN "owner" integer;--> statement-breakpoint
CREATE INDEX "handed_failures_partition_id_index" ON "handed_failures" USING btree ("partition","id");--> statement-breakpoint
-- Lives for some milliseconds: compressing it would only cost time.
ALTER TABLE "handed_failures" ALTER COLUMN "failures" SET STORAGE EXTERNAL;
