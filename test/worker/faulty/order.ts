/** What the faulty D1 of entry.ts does with a transaction. */
export type Order = "do" | "fail" | "do and lose the answer" | "hang";
