/** The fate of a transaction on the D1 of faulty.ts. */
export type FaultMode = "succeed" | "fail" | "commit and lose the response" | "hang";
