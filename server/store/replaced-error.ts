import { Fleet2banError } from "../../shared/errors.ts";

/** Another coordinator writes now. Nothing can be done but to end: whoever goes on would only ever be refused. */
export class ReplacedError extends Fleet2banError {
  constructor() {
    super("conflict", "another coordinator has taken over this database; this one must not write any more, stop it");
  }
}
