DROP INDEX "failures_address_index";--> statement-breakpoint
ALTER TABLE "failures" ADD COLUMN "address_key" bigint;--> statement-breakpoint
-- As server/store/address-key.ts: the IPv4 value, or the upper 64 bits of IPv6.
UPDATE "failures" SET "address_key" = CASE WHEN family("address") = 4 THEN "address" - '0.0.0.0'::inet
	ELSE ('x' || encode(substring(inet_send("address") FROM 5 FOR 8), 'hex'))::bit(64)::bigint END;--> statement-breakpoint
ALTER TABLE "failures" ALTER COLUMN "address_key" SET NOT NULL;--> statement-breakpoint
CREATE INDEX "failures_address_key_index" ON "failures" USING btree ("address_key");
