export type JsonObject = { [key: string]: unknown };

/**
 * Loads the OpenAPI document of the HTTP API. It is a file, because generating it would take a tenth of the bundle.
 * @param publicUrl the origin of the service; null: that of the document
 */
export async function loadOpenApi(publicUrl: string | null): Promise<JsonObject> {
  const { default: document } = await import("./openapi.json", { with: { type: "json" } });
  return publicUrl === null ? document : { ...document, servers: [{ url: publicUrl }] };
}
