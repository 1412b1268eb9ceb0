/** What the D1 of faulty.ts does with a transaction. */
export type Order = "do" | "fail" | "do and lose the answer" | "hang";
