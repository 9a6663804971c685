def test_x(fraud):
    r={"amount": 12.5, "count": 3, "abroad": False, "country": "DE", "channel": "app", "at": "2024-05-01T10:30:00"}
    print(fraud.post("/predict",json={"rows":[r]}).text)
    print(fraud.post("/predict",json={"rows":[r|{"amount":-1,"x":1}]}).text)
    for p in ("/readyz","/v2","/v2/models/fraud","/nope","/metrics"): print(fraud.get(p).status_code, fraud.get(p).text)
