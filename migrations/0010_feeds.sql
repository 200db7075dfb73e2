CREATE TABLE "feed_entries" (
	"feed" text NOT NULL,
	"net" "cidr" NOT NULL,
	"since_ms" bigint NOT NULL,
	CONSTRAINT "feed_entries_feed_net_pk" PRIMARY KEY("feed","net")
);
--> statement-breakpoint
CREATE TABLE "feed_exceptions" (
	"feed" text NOT NULL,
	"net" "cidr" NOT NULL,
	"made_ms" bigint NOT NULL,
	"made_by" text NOT NULL,
	"note" text,
	CONSTRAINT "feed_exceptions_feed_net_pk" PRIMARY KEY("feed","net")
);
--> statement-breakpoint
CREATE TABLE "feeds" (
	"name" text PRIMARY KEY NOT NULL,
	"source" text NOT NULL,
	"mode" text NOT NULL,
	"every_ms" bigint NOT NULL,
	"ttl_ms" bigint NOT NULL,
	"entries_max" integer NOT NULL,
	"note" text NOT NULL,
	"created_ms" bigint NOT NULL,
	"created_by" text NOT NULL,
	"due_ms" bigint NOT NULL,
	"tried_ms" bigint,
	"good_ms" bigint,
	"changed_ms" bigint,
	"why" text,
	"problem" text,
	"etag" text,
	"modified" text,
	"report" jsonb,
	"pending" integer DEFAULT 0 NOT NULL,
	"removed_ms" bigint
);
--> statement-breakpoint
ALTER TABLE "feed_entries" ADD CONSTRAINT "feed_entries_feed_feeds_name_fk" FOREIGN KEY ("feed") REFERENCES "public"."feeds"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "feed_exceptions" ADD CONSTRAINT "feed_exceptions_feed_feeds_name_fk" FOREIGN KEY ("feed") REFERENCES "public"."feeds"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "feed_entries_net_index" ON "feed_entries" USING btree ("net");--> statement-breakpoint
CREATE INDEX "feed_exceptions_net_index" ON "feed_exceptions" USING gist ("net" inet_ops);--> statement-breakpoint
CREATE INDEX "bans_standing_unranked" ON "bans" USING btree ("reason","net","until_ms","id") WHERE ended_ms is null and level is null;