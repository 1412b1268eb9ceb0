const PLAIN = { "X-Content-Type-Options": "nosniff" };
/** HSTS for a year. Subdomains are not included: others may run them. */
const HTTPS = { ...PLAIN, "Strict-Transport-Security": "max-age=31536000" };

/**
 * The security headers of every response. Pages have more.
 * @param url a URL at which clients reach the service
 */
export function securityHeaders(url: string): Readonly<Record<string, string>> {
  return url.startsWith("https:") ? HTTPS : PLAIN;
}
