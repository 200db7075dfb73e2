ALTER TABLE "hosts" ADD COLUMN "moved_ms" bigint;--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "credentials_since_ms" bigint;