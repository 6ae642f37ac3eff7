CREATE TABLE orders (id bigserial PRIMARY KEY, customer integer NOT NULL, item text NOT NULL);
CREATE INDEX orders_of_customer ON orders (customer, id DESC);
